"""Balance: methods against one modality, or one task, dominating the others in training."""

from mmjax.balance.auxiliary import Auxiliary as Auxiliary
from mmjax.balance.balance import Balance as Balance
from mmjax.balance.blend import Blend as Blend
from mmjax.balance.blend import blend_weights as blend_weights
from mmjax.balance.grad_norm import GradNorm as GradNorm
from mmjax.balance.joint import JOINT as JOINT
from mmjax.balance.joint import Joint as Joint
from mmjax.balance.ogm_ge import OgmGe as OgmGe
from mmjax.balance.pc_grad import PcGrad as PcGrad
from mmjax.balance.uncertainty import Uncertainty as Uncertainty
from mmjax.balance.weight_average import WeightAverage as WeightAverage

BALANCES = {
    "joint": Joint,
    "auxiliary": Auxiliary,
    "blend": Blend,
    "ogm_ge": OgmGe,
    "uncertainty": Uncertainty,
    "weight_average": WeightAverage,
    "grad_norm": GradNorm,
    "pc_grad": PcGrad,
}
