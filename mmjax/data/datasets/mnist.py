"""MNIST: LeCun, Cortes and Burges 1998, http://yann.lecun.com/exdb/mnist/"""

import tensorflow_datasets as tfds

from mmjax.data.datasets.idx_builder import IdxBuilder


class Mnist(IdxBuilder):
    """Handwritten digits."""

    name = "mmjax_mnist"  # apart from TFDS's own, which is of another format
    VERSION = tfds.core.Version("1.0.0")
    TITLE = "MNIST"
    URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
    SHA256 = {  # noqa: RUF012
        "train-images-idx3-ubyte.gz": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte.gz": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    }
    CLASSES = tuple(str(digit) for digit in range(10))
    HOMEPAGE = "http://yann.lecun.com/exdb/mnist/"
    LICENSE = "not stated by its source"
    CITATION = """@article{lecun1998gradient,
  author  = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title   = {Gradient-based learning applied to document recognition},
  journal = {Proceedings of the IEEE},
  volume  = {86},
  number  = {11},
  pages   = {2278--2324},
  year    = {1998},
}"""
