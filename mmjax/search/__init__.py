"""Search by vectors of a dual encoder: an index of any folder or table, its page, its server."""

from mmjax.search.embedder import Embedder as Embedder
from mmjax.search.index import Hit as Hit
from mmjax.search.index import Index as Index
