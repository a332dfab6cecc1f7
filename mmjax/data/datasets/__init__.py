"""The data sets, by the name that a configuration gives them."""

from mmjax.data.dataset import Dataset
from mmjax.data.datasets.csv_rows import CsvRows as CsvRows
from mmjax.data.datasets.digits_match import DigitsMatch as DigitsMatch
from mmjax.data.datasets.fashion_match import FashionMatch as FashionMatch
from mmjax.data.datasets.mnist_match import MnistMatch as MnistMatch
from mmjax.data.datasets.planted import Planted as Planted
from mmjax.data.datasets.spoken_match import SpokenMatch as SpokenMatch

DATASETS: dict[str, type[Dataset]] = {
    "digits_match": DigitsMatch,
    "mnist_match": MnistMatch,
    "fashion_match": FashionMatch,
    "spoken_match": SpokenMatch,
    "planted": Planted,
    "csv": CsvRows,
}
