"""Networks of the literature with everything needed to train them: one file each."""

from evenkeel.recipes.conv20 import CONV20 as CONV20
from evenkeel.recipes.convnet_lrn import CONVNET_LRN as CONVNET_LRN
from evenkeel.recipes.dnn_elu import DNN_ELU as DNN_ELU
from evenkeel.recipes.ioffe_sigmoid import IOFFE_SIGMOID as IOFFE_SIGMOID
from evenkeel.recipes.mnist_estimator import MNIST_ESTIMATOR as MNIST_ESTIMATOR
from evenkeel.recipes.recipe import RECIPES as RECIPES
from evenkeel.recipes.recipe import Recipe as Recipe
from evenkeel.recipes.recipe import Variant as Variant
from evenkeel.recipes.sgd_relu import SGD_RELU as SGD_RELU
