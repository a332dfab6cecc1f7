"""Contract checks for your own encoders, fusions, heads and objectives.

    mmjax.testing.check_fusion(MyFusion())

Every registered part passes them. Each takes some seconds and raises an AssertionError that says
which contract is broken.
"""

from mmjax.testing.encoder import check_encoder as check_encoder
from mmjax.testing.fusion import check_fusion as check_fusion
from mmjax.testing.head import check_head as check_head
from mmjax.testing.objective import check_objective as check_objective
from mmjax.testing.pairs import check_pairs as check_pairs
from mmjax.testing.samples import extremes as extremes
from mmjax.testing.samples import garbage as garbage
from mmjax.testing.samples import tokens_of as tokens_of
