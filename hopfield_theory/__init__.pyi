from . import bounds as bounds
from . import statistics as statistics
from .bounds.random_memory import RandomMemory as RandomMemory
from .certificates.certify import Certificate as Certificate
from .certificates.certify import Guarantee as Guarantee
from .certificates.certify import Storage as Storage
from .certificates.certify import certify as certify
from .certificates.certify import guaranteed as guaranteed
from .certificates.find_beta import BetaSearch as BetaSearch
from .certificates.find_beta import find_beta as find_beta
from .certificates.rejection import Rejection as Rejection
from .certificates.rejection import least_noop as least_noop
from .data import corruption as corruption
from .data.ensembles import Gaussian as Gaussian
from .data.ensembles import Rademacher as Rademacher
from .data.ensembles import RandomPatterns as RandomPatterns
from .data.ensembles import Sphere as Sphere
from .data.ensembles import SpikedCovariance as SpikedCovariance
from .data.files import digits as digits
from .data.files import open_patterns as open_patterns
from .model.fixed_point import Status as Status
from .model.memory import Memory as Memory
from .model.retrieval import Retrieval as Retrieval
from .model.retrieval import retrieve as retrieve
from .model.separation import Entmax as Entmax
from .model.separation import SoftmaxN as SoftmaxN
from .model.separation import lse_n as lse_n
from .model.separation import softmax_n as softmax_n
from .statements.statement import Implication as Implication
from .statements.statement import Statement as Statement
from .verification.check import Verdict as Verdict
from .verification.suite import verify as verify

__version__: str
__all__: list[str]
