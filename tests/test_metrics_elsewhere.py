"""Do our distances say what torchmetrics and torch-fidelity say of the same features and pictures?

Both come with the extra `metrics`; no weights are downloaded. Theirs compute in float32 here and there, so that the
tolerances are theirs."""
import pytest, torch
from latent_style.codec import psnr
from latent_style.data import generator
from latent_style.crowds import frechet_distance, kid
from latent_style.eval import perceptual_distance, ssim
from latent_style.metrics import frechet_from_stats
from latent_style.metrics import prdc

def features(n, dim=16, shift=0., seed=0):
    "Features (n,dim) whose numbers go together, so that a covariance matters"
    g = generator(seed, n, 'features')
    return torch.randn(n, dim, generator=g)@torch.randn(dim, dim, generator=generator(seed, 0, 'mix'))/4+shift

def pictures(n=6, side=64, seed=0):
    "Pictures (n,3,side,side) in [-1,1], smooth and rough"
    g = generator(seed, 0, 'pictures')
    coarse = torch.nn.functional.interpolate(torch.rand(n, 3, 8, 8, generator=g), side, mode='bilinear')
    return (2*coarse-1+.1*torch.randn(n, 3, side, side, generator=g)).clamp(-1, 1)

@pytest.fixture
def fidelity(): return pytest.importorskip('torch_fidelity', reason="pip install 'latent_style[metrics]'")

@pytest.fixture
def torchmetrics(): return pytest.importorskip('torchmetrics', reason="pip install 'latent_style[metrics]'")

class Itself(torch.nn.Module):
    "A feature extractor for pictures that are features already"
    num_features = 16
    def forward(self, x): return x.flatten(1)

def told(metric, real, fake):
    "What one of torchmetrics' distances of crowds says of features"
    metric.update(real[:,:,None,None], real=True)
    metric.update(fake[:,:,None,None], real=False)
    return metric.compute()

# Crowds

@pytest.mark.parametrize('n,m', [(200,150), (40,300), (10,12)])
def test_frechet_distance_of_torchmetrics(torchmetrics, n, m):
    from torchmetrics.image.fid import FrechetInceptionDistance
    a,b = features(n),features(m, shift=.3, seed=1)
    metric = FrechetInceptionDistance(Itself(), normalize=True, input_img_size=(16,1,1)).double()
    theirs = told(metric, a.double(), b.double())
    assert frechet_distance(a, b, warn=False) == pytest.approx(theirs.item(), rel=1e-6)

@pytest.mark.parametrize('n,m', [(200,150), (40,300), (10,12)])
def test_frechet_distance_of_torch_fidelity(fidelity, n, m):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    a,b = features(n),features(m, shift=.3, seed=1)
    stats = [fid_features_to_statistics(f) for f in (a,b)]
    theirs = fid_statistics_to_metric(*stats, verbose=False)['frechet_inception_distance']
    assert frechet_distance(a, b, warn=False) == pytest.approx(theirs, rel=1e-6)
    moments = [v for s in stats for v in (s['mu'],s['sigma'])]
    assert frechet_from_stats(*moments) == pytest.approx(theirs, rel=1e-6)

def test_kid_of_torchmetrics(torchmetrics):
    "All pictures in one subset: their number and our `kid` are one estimate"
    from torchmetrics.image.kid import KernelInceptionDistance
    a,b = features(120),features(120, shift=.3, seed=1)
    mean,spread = told(KernelInceptionDistance(Itself(), subsets=2, subset_size=120, normalize=True), a, b)
    assert kid(b, a)['kid'] == pytest.approx(mean.item(), rel=1e-4) and spread < 1e-4*mean

def test_kid_of_torch_fidelity(fidelity):
    from torch_fidelity.metric_kid import kid_features_to_metric
    a,b = features(120),features(120, shift=.3, seed=1)
    whole = kid_features_to_metric(a, b, kid_subsets=2, kid_subset_size=120, verbose=False)
    assert kid(a, b)['kid'] == pytest.approx(whole['kernel_inception_distance_mean'], rel=1e-5)
    part = kid_features_to_metric(a, b, kid_subsets=400, kid_subset_size=30, verbose=False)
    ours = kid(a, b, subsets=400, subset_size=30)              # subsets are drawn otherwise: the same on average
    error = 4*ours['std']/400**.5
    assert abs(ours['mean']-part['kernel_inception_distance_mean']) < error
    assert ours['std'] == pytest.approx(part['kernel_inception_distance_std'], rel=.3)

@pytest.mark.parametrize('k', [3, 5])
def test_precision_and_recall_of_torch_fidelity(fidelity, k):
    from torch_fidelity.metric_prc import prc_features_to_metric
    real,fake = features(150),features(130, shift=.5, seed=1)
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=k, verbose=False)
    ours = prdc(real, fake, k)
    assert 0 < ours['precision'] < 1 and 0 < ours['recall'] < 1
    assert (ours['precision'],ours['recall']) == pytest.approx((theirs['precision'],theirs['recall']), abs=1e-6)

# Pairs

def test_ssim_of_torchmetrics(torchmetrics):
    "The same map; its mean leaves out the five pixels at the border where the window hangs over, theirs mirrors there"
    from torchmetrics.functional.image import structural_similarity_index_measure
    a,b = pictures(),pictures(seed=1).lerp(pictures(), .7)
    mean,full = structural_similarity_index_measure((a+1)/2, (b+1)/2, data_range=1., reduction='none',
                                                    return_full_image=True)
    torch.testing.assert_close(ssim(a, b), full[:,:,5:-5,5:-5].mean((1,2,3)), atol=1e-5, rtol=0)
    assert (ssim(a, b)-mean).abs().max() < .01

def test_psnr_of_torchmetrics(torchmetrics):
    from torchmetrics.functional.image import peak_signal_noise_ratio
    a,b = pictures(),pictures(seed=1)
    theirs = peak_signal_noise_ratio(b, a, data_range=2., reduction='none', dim=(1,2,3))
    torch.testing.assert_close(psnr(a, b), theirs, atol=1e-4, rtol=0)

@pytest.mark.parametrize('net', ['alex', 'squeeze'])
def test_lpips_of_torchmetrics(torchmetrics, net):
    "One trunk of random weights, each with its own copy of the published heads"
    for package in ('lpips','torchvision'): pytest.importorskip(package, reason="pip install 'latent_style[eval]'")
    from torchmetrics.functional.image.lpips import _LPIPS
    from latent_style.features import Lpips
    ours,theirs = Lpips(net, pretrained=False),_LPIPS(net=net, pnet_rand=True)
    theirs.net.load_state_dict(dict(zip(theirs.net.state_dict(), ours.net.net.state_dict().values(), strict=True)))
    a,b = pictures(),pictures(seed=1)
    with torch.no_grad(): far = theirs(a, b).flatten()
    torch.testing.assert_close(perceptual_distance(a, b, ours), far, rtol=1e-4, atol=1e-7)
