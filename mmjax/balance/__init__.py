"""Balance: methods against one modality dominating the others in training."""

from mmjax.balance.auxiliary import Auxiliary as Auxiliary
from mmjax.balance.balance import Balance as Balance
from mmjax.balance.blend import Blend as Blend
from mmjax.balance.blend import blend_weights as blend_weights
from mmjax.balance.joint import JOINT as JOINT
from mmjax.balance.joint import Joint as Joint
from mmjax.balance.ogm_ge import OgmGe as OgmGe

BALANCES = {"joint": Joint, "auxiliary": Auxiliary, "blend": Blend, "ogm_ge": OgmGe}
