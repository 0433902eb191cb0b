"""The settings of a short run, for tests that change one of them."""

from evenkeel.train.config import RunConfig

SHORT = RunConfig(
    recipe="dnn-elu",
    batch_norm=True,
    placement="before",
    data=None,
    steps=10,
    batch_size=32,
    lr=0.01,
    seed=0,
    threads=1,
    device="cpu",
    compare=False,
    tensorboard=False,
)
