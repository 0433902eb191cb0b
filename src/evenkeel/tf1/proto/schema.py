"""The messages of TensorFlow's graphs, as text: a line a message, ``name=number:type`` a field.

Names and numbers are those of ``tensorflow/core/framework`` and ``core/protobuf``; a field that is
not here is kept as unknown and written again. ``*`` marks a repeated field, ``{T}`` a map from text
to ``T``, ``|`` a member of the message's one oneof, ``!`` a repeated field that is not packed.
"""

DATA_TYPES = (
    "INVALID", "FLOAT", "DOUBLE", "INT32", "UINT8", "INT16", "INT8", "STRING", "COMPLEX64", "INT64",
    "BOOL", "QINT8", "QUINT8", "QINT32", "BFLOAT16", "QINT16", "QUINT16", "UINT16", "COMPLEX128",
    "HALF", "RESOURCE", "VARIANT", "UINT32", "UINT64",
)  # fmt: skip
ENUMS = {
    "DataType": {f"DT_{name}": number for number, name in enumerate(DATA_TYPES)}
    | {f"DT_{name}_REF": number + 100 for number, name in enumerate(DATA_TYPES) if number},
    "VariableSynchronization": {
        "VARIABLE_SYNCHRONIZATION_AUTO": 0,
        "VARIABLE_SYNCHRONIZATION_NONE": 1,
        "VARIABLE_SYNCHRONIZATION_ON_WRITE": 2,
        "VARIABLE_SYNCHRONIZATION_ON_READ": 3,
    },
    "VariableAggregation": {
        "VARIABLE_AGGREGATION_NONE": 0,
        "VARIABLE_AGGREGATION_SUM": 1,
        "VARIABLE_AGGREGATION_MEAN": 2,
        "VARIABLE_AGGREGATION_ONLY_FIRST_REPLICA": 3,
    },
    "SaverDef.CheckpointFormatVersion": {"LEGACY": 0, "V1": 1, "V2": 2},
    "SessionLog.SessionStatus": {
        "STATUS_UNSPECIFIED": 0,
        "START": 1,
        "STOP": 2,
        "CHECKPOINT": 3,
    },
}

# What a message calls its oneof, where that is not ``value``.
ONEOFS = {"CollectionDef": "kind", "ControlFlowContextDef": "ctxt", "TensorInfo": "encoding"}

MESSAGES = """
TensorShapeProto.Dim size=1:int64 name=2:string
TensorShapeProto dim=2:*TensorShapeProto.Dim unknown_rank=3:bool
ResourceHandleProto device=1:string container=2:string name=3:string hash_code=4:uint64 maybe_type_name=5:string
VariantTensorDataProto type_name=1:string metadata=2:bytes tensors=3:*TensorProto
TensorProto dtype=1:DataType tensor_shape=2:TensorShapeProto version_number=3:int32 tensor_content=4:bytes float_val=5:*float double_val=6:*double int_val=7:*int32 string_val=8:*bytes scomplex_val=9:*float int64_val=10:*int64 bool_val=11:*bool dcomplex_val=12:*double half_val=13:*int32 resource_handle_val=14:*ResourceHandleProto variant_val=15:*VariantTensorDataProto uint32_val=16:*uint32 uint64_val=17:*uint64
AttrValue.ListValue s=2:*bytes i=3:*int64 f=4:*float b=5:*bool type=6:*DataType shape=7:*TensorShapeProto tensor=8:*TensorProto func=9:*NameAttrList
AttrValue s=2:|bytes i=3:|int64 f=4:|float b=5:|bool type=6:|DataType shape=7:|TensorShapeProto tensor=8:|TensorProto list=1:|AttrValue.ListValue func=10:|NameAttrList placeholder=9:|string
NameAttrList name=1:string attr=2:{AttrValue}
NodeDef.ExperimentalDebugInfo original_node_names=1:*string original_func_names=2:*string
NodeDef name=1:string op=2:string input=3:*string device=4:string attr=5:{AttrValue} experimental_debug_info=6:NodeDef.ExperimentalDebugInfo
VersionDef producer=1:int32 min_consumer=2:int32 bad_consumers=3:*int32
OpDef.ArgDef name=1:string description=2:string type=3:DataType type_attr=4:string number_attr=5:string type_list_attr=6:string is_ref=16:bool
OpDef.AttrDef name=1:string type=2:string default_value=3:AttrValue description=4:string has_minimum=5:bool minimum=6:int64 allowed_values=7:AttrValue
OpDeprecation version=1:int32 explanation=2:string
OpDef name=1:string input_arg=2:*OpDef.ArgDef output_arg=3:*OpDef.ArgDef control_output=20:*string attr=4:*OpDef.AttrDef deprecation=8:OpDeprecation summary=5:string description=6:string is_commutative=18:bool is_aggregate=16:bool is_stateful=17:bool allows_uninitialized_input=19:bool
OpList op=1:*OpDef
FunctionDef signature=1:OpDef attr=5:{AttrValue} node_def=3:*NodeDef ret=4:{string} control_ret=6:{string}
GradientDef function_name=1:string gradient_func=2:string
FunctionDefLibrary function=1:*FunctionDef gradient=2:*GradientDef
GraphDef node=1:*NodeDef versions=4:VersionDef version=3:int32 library=2:FunctionDefLibrary
SaveSliceInfoDef full_name=1:string full_shape=2:*int64 var_offset=3:*int64 var_shape=4:*int64
VariableDef variable_name=1:string initial_value_name=6:string initializer_name=2:string snapshot_name=3:string save_slice_info_def=4:SaveSliceInfoDef is_resource=5:bool trainable=7:bool synchronization=8:VariableSynchronization aggregation=9:VariableAggregation
SaverDef filename_tensor_name=1:string save_tensor_name=2:string restore_op_name=3:string max_to_keep=4:int32 sharded=5:bool keep_checkpoint_every_n_hours=6:float version=7:SaverDef.CheckpointFormatVersion
ValuesDef values=1:*string external_values=2:{string}
ControlFlowContextDef cond_ctxt=1:|CondContextDef while_ctxt=2:|WhileContextDef
CondContextDef context_name=1:string pred_name=2:string pivot_name=3:string branch=4:int32 values_def=5:ValuesDef nested_contexts=6:*ControlFlowContextDef
WhileContextDef context_name=1:string parallel_iterations=2:int32 back_prop=3:bool swap_memory=4:bool pivot_name=5:string pivot_for_pred_name=6:string pivot_for_body_name=7:string loop_exit_names=8:*string loop_enter_names=10:*string values_def=9:ValuesDef maximum_iterations_name=11:string nested_contexts=12:*ControlFlowContextDef
QueueRunnerDef queue_name=1:string enqueue_op_name=2:*string close_op_name=3:string cancel_op_name=4:string queue_closed_exception_types=5:!int32
CollectionDef.NodeList value=1:*string
CollectionDef.BytesList value=1:*bytes
CollectionDef.Int64List value=1:*int64
CollectionDef.FloatList value=1:*float
CollectionDef.AnyList value=1:*google.protobuf.Any
CollectionDef node_list=1:|CollectionDef.NodeList bytes_list=2:|CollectionDef.BytesList int64_list=3:|CollectionDef.Int64List float_list=4:|CollectionDef.FloatList any_list=5:|CollectionDef.AnyList
TensorInfo.CooSparse values_tensor_name=1:string indices_tensor_name=2:string dense_shape_tensor_name=3:string
TensorInfo name=1:|string coo_sparse=4:|TensorInfo.CooSparse dtype=2:DataType tensor_shape=3:TensorShapeProto
SignatureDef inputs=1:{TensorInfo} outputs=2:{TensorInfo} method_name=3:string
AssetFileDef tensor_info=1:TensorInfo filename=2:string
MetaGraphDef.MetaInfoDef meta_graph_version=1:string stripped_op_list=2:OpList any_info=3:google.protobuf.Any tags=4:*string tensorflow_version=5:string tensorflow_git_version=6:string stripped_default_attrs=7:bool
MetaGraphDef meta_info_def=1:MetaGraphDef.MetaInfoDef graph_def=2:GraphDef saver_def=3:SaverDef collection_def=4:{CollectionDef} signature_def=5:{SignatureDef} asset_file_def=6:*AssetFileDef
SavedModel saved_model_schema_version=1:int64 meta_graphs=2:*MetaGraphDef
HistogramProto min=1:double max=2:double num=3:double sum=4:double sum_squares=5:double bucket_limit=6:*double bucket=7:*double
SummaryMetadata.PluginData plugin_name=1:string content=2:bytes
SummaryMetadata plugin_data=1:SummaryMetadata.PluginData display_name=2:string summary_description=3:string
Summary.Image height=1:int32 width=2:int32 colorspace=3:int32 encoded_image_string=4:bytes
Summary.Audio sample_rate=1:float num_channels=2:int64 length_frames=3:int64 encoded_audio_string=4:bytes content_type=5:string
Summary.Value node_name=7:string tag=1:string metadata=9:SummaryMetadata simple_value=2:|float obsolete_old_style_histogram=3:|bytes image=4:|Summary.Image histo=5:|HistogramProto audio=6:|Summary.Audio tensor=8:|TensorProto
Summary value=1:*Summary.Value
BytesList value=1:*bytes
FloatList value=1:*float
Int64List value=1:*int64
Feature bytes_list=1:|BytesList float_list=2:|FloatList int64_list=3:|Int64List
Features feature=1:{Feature}
FeatureList feature=1:*Feature
FeatureLists feature_list=1:{FeatureList}
Example features=1:Features
SequenceExample context=1:Features feature_lists=2:FeatureLists
SessionLog status=1:SessionLog.SessionStatus checkpoint_path=2:string msg=3:string
TaggedRunMetadata tag=1:string run_metadata=2:bytes
Event wall_time=1:double step=2:int64 file_version=3:|string graph_def=4:|bytes summary=5:|Summary session_log=7:|SessionLog tagged_run_metadata=8:|TaggedRunMetadata meta_graph_def=9:|bytes
"""  # noqa: E501  # a line a message is the form that this table is read by
