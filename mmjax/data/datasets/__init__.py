"""The data sets, by the name that a configuration gives them."""

from mmjax.data.dataset import Dataset
from mmjax.data.datasets.digits_class import DigitsClass as DigitsClass
from mmjax.data.datasets.digits_match import DigitsMatch as DigitsMatch
from mmjax.data.datasets.digits_tasks import DigitsTasks as DigitsTasks
from mmjax.data.datasets.fashion_match import FashionMatch as FashionMatch
from mmjax.data.datasets.kitti import Kitti as Kitti
from mmjax.data.datasets.mixed import Mixed as Mixed
from mmjax.data.datasets.mnist_match import MnistMatch as MnistMatch
from mmjax.data.datasets.reviewed import Reviewed as Reviewed
from mmjax.data.datasets.spoken_digit import SpokenDigit as SpokenDigit
from mmjax.data.datasets.spoken_match import SpokenMatch as SpokenMatch
from mmjax.data.datasets.utterances import Utterances as Utterances
from mmjax.data.synthetic.planted import Planted as Planted
from mmjax.data.synthetic.planted_chain import PlantedChain as PlantedChain
from mmjax.data.synthetic.planted_number import PlantedNumber as PlantedNumber
from mmjax.data.tables.table_data import TableData as TableData

DATASETS: dict[str, type[Dataset]] = {
    "digits_match": DigitsMatch,
    "digits_class": DigitsClass,
    "digits_tasks": DigitsTasks,
    "mixed": Mixed,
    "reviewed": Reviewed,
    "mnist_match": MnistMatch,
    "fashion_match": FashionMatch,
    "spoken_match": SpokenMatch,
    "spoken_digit": SpokenDigit,
    "utterances": Utterances,
    "kitti": Kitti,
    "planted": Planted,
    "planted_chain": PlantedChain,
    "planted_number": PlantedNumber,
    "table": TableData,
}
