"""Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747"""

import tensorflow_datasets as tfds

from mmjax.data.datasets.idx_builder import IdxBuilder


class FashionMnist(IdxBuilder):
    """Clothes, shoes and bags."""

    name = "mmjax_fashion_mnist"  # apart from TFDS's own, which is of another format
    VERSION = tfds.core.Version("1.0.0")
    TITLE = "Fashion-MNIST"
    URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    SHA256 = {  # noqa: RUF012
        "train-images-idx3-ubyte.gz": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte.gz": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    }
    CLASSES = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "BagOfWords",
        "Ankle boot",
    )
    HOMEPAGE = "https://github.com/zalandoresearch/fashion-mnist"
    LICENSE = "MIT"
    CITATION = """@article{xiao2017fashion,
  author  = {Han Xiao and Kashif Rasul and Roland Vollgraf},
  title   = {Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms},
  journal = {arXiv:1708.07747},
  year    = {2017},
}"""
