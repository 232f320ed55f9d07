"""Losses, gradients, whole steps and networks against the textbook, in float64.

Every test compares twice: the textbook's formulas on the library's own networks, which leaves the method alone under
test, and on the textbook's plain networks with the same weights, which tests the layers as well."""
import copy, sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest, torch
import torch.nn.functional as F
from torch import nn

import textbook
from latent_style import cyclegan, otcfm, pairing, stargan_pixels as pixels, stargan_step as stargan
from latent_style.company import painted
from latent_style.kernels import plain_kernels
from latent_style.learner import Learner, adam
from latent_style.strokes import Texture, domain_quantiles, texture as textured, zero_mean_filters
from latent_style.shortage import Done
from latent_style.models import PatchDiscriminator, ResnetGenerator
from latent_style.models_pixels import PixelGenerator
from latent_style.models_style import DomainDiscriminator, StyledGenerator
from latent_style.winograd import pays

on_both_networks = pytest.mark.parametrize('plain', [False, True], ids=['own networks','plain networks'])
by_both_kernels = pytest.mark.parametrize('kernels', [nullcontext, plain_kernels], ids=['fused','layer by layer'])

# What all tests need

def error(a, b): return ((a-b).norm()/b.norm()).item()

def agree(**pairs):
    "Pairs (ours, the textbook's) differ by less than one in a thousand million"
    errors = {k: error(*pair) for k,pair in pairs.items()}
    print('relative errors: ' + ', '.join(f'{k} {e:.1e}' for k,e in errors.items()))
    assert max(errors.values()) < 1e-9, errors

def flat(tensors): return torch.cat([v.detach().flatten() for v in tensors])

def weights_of(*nets): return [p for net in nets for p in net.parameters()]

def slope(loss, *nets):
    "The gradient of `loss` for all weights of the networks, in one vector"
    return flat(torch.autograd.grad(loss, weights_of(*nets), retain_graph=True, materialize_grads=True))

def drawn(net, std=.1):
    "With all weights drawn anew: no zero-initialised layer, every gradient counts"
    for p in net.parameters(): nn.init.normal_(p, std=std)
    return net

def singular(net): return [v for k,v in net.named_buffers() if k.endswith(('_u','_v'))]

@torch.no_grad()
def carry(net, plain):
    "Give `plain` the weights of `net`: both list them in the same order"
    plain.double().train(net.training)
    for tensors in (weights_of, singular):
        ours,theirs = tensors(net),tensors(plain)
        assert [v.shape for v in ours] == [v.shape for v in theirs]
        for a,b in zip(ours, theirs): b.copy_(a)
    return plain

def book_of(nets, plains, plain):
    "What the textbook works on: copies of the networks, or its own ones with their weights; `plains` makes those"
    return SimpleNamespace(**({k: carry(nets[k], net) for k,net in plains().items()} if plain else copy.deepcopy(nets)))

class Steps:
    "Three steps of the library and three of the textbook from the same weights, each with optimizers of its own"
    def __init__(self, nets, book, make, plain_make):
        self.nets,self.book = nets,vars(book)
        self.opts = {k: make(k, net) for k,net in nets.items()}
        self.book_opts = {k: plain_make(k, net) for k,net in self.book.items()}
        self.start = copy.deepcopy(nets)

    def ours(self, step, batch, still=()):
        "`still`: networks in which the spectral norm stays as it is"
        learn = Learner(self.nets, self.opts, step, lambda learn: batch, 3, precision='fp64', device='cpu')
        for k in still: self.nets[k].eval()
        learn.fit()

    def moves(self, k):
        "How far network `k` came with both"
        before = flat(weights_of(self.start[k]))
        return tuple(flat(weights_of(nets[k]))-before for nets in (self.nets, self.book))

    def changes(self, k, *args):
        """How network `k` changed what it makes of `args`, for networks with biases before an instance norm: these have
        gradients of rounding errors, which Adam makes as large as any, and they change nothing"""
        before = self.start[k](*args)
        return tuple((nets[k](*args)-before).detach() for nets in (self.nets, self.book))

# CycleGAN

CYCLEGANS = [('separable',True,None,2,True), ('dense',False,'tanh',1,True), ('pointwise',True,None,2,False)]
each_cyclegan = pytest.mark.parametrize('conv,residual,act,stride,sn', CYCLEGANS)

def cyclegan_case(conv, residual, act, stride, sn, plain):
    "Networks, the textbook's networks, weights, and a batch"
    torch.manual_seed(0)
    make_g = lambda: drawn(ResnetGenerator(ngf=16, n_blocks=2, conv=conv, residual=residual, act=act).double())
    make_d = lambda: PatchDiscriminator(ndf=8, stride=stride, sn=sn).double().eval()    # spectral norm as it stands
    nets = dict(G=make_g(), F=make_g(), D_A=make_d(), D_B=make_d())
    plain_g = lambda: textbook.CycleGenerator(4, 16, 2, conv, residual, act == 'tanh')
    plain_d = lambda: textbook.patch_discriminator(4, 8, stride, sn)
    book = book_of(nets, lambda: dict(G=plain_g(), F=plain_g(), D_A=plain_d(), D_B=plain_d()), plain)
    w = SimpleNamespace(cyc=10., id=.5, adv='lsgan', d_scale=.5, pool_prob=.5, cells=(1,1), tex=0., past=0)
    return nets,book,w,torch.randn(2, 4, 4, 16, 16, dtype=torch.float64)

@on_both_networks
@each_cyclegan
def test_cyclegan(conv, residual, act, stride, sn, plain):
    nets,book,w,(a,b) = cyclegan_case(conv, residual, act, stride, sn, plain)
    n = SimpleNamespace(**nets)
    loss,_,(fake_a,fake_b) = cyclegan.g_loss(n, a, b, w)
    want = textbook.cyclegan_g_loss(book, a, b, w)
    loss_d,_ = cyclegan.d_loss(n, a, fake_a, b, fake_b, w)
    want_d = textbook.cyclegan_d_loss(book, a, b, book.F(b).detach(), book.G(a).detach(), w)
    agree(loss=(loss, want), generators=(slope(loss, n.G, n.F), slope(want, book.G, book.F)),
          loss_d=(loss_d, want_d), discriminators=(slope(loss_d, n.D_A, n.D_B), slope(want_d, book.D_A, book.D_B)))

@on_both_networks
@each_cyclegan
def test_cyclegan_steps(conv, residual, act, stride, sn, plain):
    nets,book,w,(a,b) = cyclegan_case(conv, residual, act, stride, sn, plain)
    steps = Steps(nets, book, lambda k,net: adam(net, 1e-3),
                  lambda k,net: torch.optim.Adam(net.parameters(), 1e-3, (.5,.999)))
    steps.ours(lambda learn,batch: cyclegan.step(learn, batch, w), (a, b), still=('D_A','D_B'))
    for _ in range(3): textbook.cyclegan_step(book, steps.book_opts, a, b, w)
    agree(**{k: steps.moves(k) for k in nets})

@pytest.mark.parametrize('conv,w_id', [('separable',0.), ('dense',.5)])
def test_cyclegan_that_paints(conv, w_id):
    "Noise beside the latents, averages in cycle and identity, the texture of both domains"
    torch.manual_seed(0)
    make_g = lambda: drawn(ResnetGenerator(ngf=16, n_blocks=2, conv=conv, noise=2).double())
    make_d = lambda: PatchDiscriminator(ndf=8, sn=False).double()
    nets = dict(G=make_g(), F=make_g(), D_A=make_d(), D_B=make_d())
    plain_g = lambda: textbook.CycleGenerator(4, 16, 2, conv, True, False, noise=2)
    plain_d = lambda: textbook.patch_discriminator(4, 8, 2, False)
    book = book_of(nets, lambda: dict(G=plain_g(), F=plain_g(), D_A=plain_d(), D_B=plain_d()), True)
    w = SimpleNamespace(cyc=10., id=w_id, tex=3., adv='lsgan', cells=(1,4) if w_id else (4,4))
    a,b = torch.randn(2, 4, 4, 16, 16, dtype=torch.float64)
    noise = torch.randn(2, 4, 6, 16, 16, dtype=torch.float64)
    filters = zero_mean_filters(4, 6, 3).double()
    curves = [domain_quantiles(x, filters, n=50) for x in (a,b)]
    def texture(*fakes): return sum(textured(x, filters, q) for x,q in zip(fakes, curves))
    n = SimpleNamespace(**nets)
    loss,_,_ = cyclegan.g_loss(n, a, b, w, *noise, texture=texture)
    want = textbook.painting_g_loss(book, a, b, noise, filters, curves, w)
    agree(loss=(loss, want), generators=(slope(loss, n.G, n.F), slope(want, book.G, book.F)))

# Latent StarGAN v2

STARGANS = [('in',True,False), ('gn',True,True), ('gn',False,False)]
each_stargan = pytest.mark.parametrize('norm,sn,residual', STARGANS)

def stargan_case(norm, sn, residual, w_id, plain):
    torch.manual_seed(0)
    how = dict(width=32, n_blocks=2, norm=norm, residual=residual, w_map=32, w_enc=16, ndf=16, sn=sn)
    nets = {k: net.double() for k,net in stargan.networks(3, **how).items()}
    for k in 'GFE': drawn(nets[k])          # styles that matter
    nets['D'].eval()                        # spectral norm as it stands
    plains = lambda: dict(G=textbook.StyledGenerator(4, 64, 32, 2, norm, residual),
                          F=textbook.mapping_network(3, 16, 64, 32, 3, 1), E=textbook.style_encoder(3, 4, 64, 16),
                          D=textbook.latent_discriminator(3, 4, 16, sn))
    x,x_ref = torch.randn(2, 4, 4, 16, 16, dtype=torch.float64)
    z,z2 = torch.randn(2, 4, 16, dtype=torch.float64)
    b = stargan.Batch(x, x_ref, torch.tensor([0,1,2,0]), torch.tensor([1,2,0,2]), z, z2)
    w = SimpleNamespace(adv=.9, sty=.7, cyc=1.3, id=w_id, r1=2., r1_every=2, margin=None, game='hinge',
                        ds=lambda i: .8-.2*i, cells=1, tex=0.)
    return nets,book_of(nets, plains, plain),w,b

def middle_of(n, b):
    "A margin that half of the pictures' differences exceed"
    x,x2 = (n.G(b.x, n.F(z, b.y_trg)) for z in (b.z1, b.z2))
    return (x-x2).abs().mean((1,2,3)).quantile(.5).item()

@on_both_networks
@each_stargan
@pytest.mark.parametrize('w_id', [1., 0.])
@pytest.mark.parametrize('margin', [False, True])
def test_stargan(norm, sn, residual, w_id, margin, plain):
    "Our step, which makes each fake once, has the textbook's losses and gradients"
    nets,book,w,b = stargan_case(norm, sn, residual, w_id, plain)
    if margin: w.margin = middle_of(book, b)
    n = SimpleNamespace(**nets)
    s = stargan.styles(n, b)
    fake = stargan.fakes(n, b, s, w, .8)
    loss_d = stargan.d_loss(n, b, fake, w)[0] + w.r1*16*stargan.r1_loss(n.D, b.x_ref, b.y_trg)
    want_d = textbook.stargan_d_loss(book, b, w, r1_every=16)
    loss_g,t = stargan.g_loss(n, b, s, fake, w, .8)
    want_g = textbook.stargan_g_loss(book, b, w, .8)
    agree(d=(loss_d, want_d), g=(loss_g, want_g), grad_d=(slope(loss_d, n.D), slope(want_d, book.D)),
          grad_g=(slope(loss_g, n.G, n.F, n.E), slope(want_g, book.G, book.F, book.E)))
    lat,lat2,ref = (book.G(b.x, s) for s in (book.F(b.z1, b.y_trg), book.F(b.z2, b.y_trg), book.E(b.x_ref, b.y_trg)))
    adv = -sum(book.D(x, b.y_trg).mean() for x in (lat, ref))
    agree(ds=(t['ds'], textbook.diversity(lat, lat2, w.margin)), g_adv=(t['g_adv'], adv))

@on_both_networks
@each_stargan
def test_stargan_steps(norm, sn, residual, plain):
    "With a gradient penalty in every other step"
    nets,book,w,b = stargan_case(norm, sn, residual, 1., plain)
    rates = dict(G=1e-3, F=1e-4, E=1e-3, D=1e-3)
    steps = Steps(nets, book, lambda k,net: adam(net, rates[k], (0.,.99), 1e-4),
                  lambda k,net: torch.optim.AdamW(net.parameters(), rates[k], (0.,.99), weight_decay=1e-4))
    steps.ours(lambda learn,batch: stargan.step(learn, batch, w), b, still='D')
    for i in range(3): textbook.stargan_step(book, steps.book_opts, b, w, i)
    s = torch.randn(4, 64, dtype=torch.float64)
    agree(**{k: steps.moves(k) for k in 'FED'}, G=steps.changes('G', b.x, s))

@pytest.mark.parametrize('norm,y_trg', [('in',[1,2,0,2]), ('gn',[2,2,2,2])])
def test_stargan_that_paints(norm, y_trg):
    "Noise beside the latents, averages in cycle and identity, the texture of the domains that are asked for"
    torch.manual_seed(0)
    how = dict(width=32, n_blocks=2, norm=norm, w_map=32, w_enc=16, ndf=16, sn=False, noise=2)
    nets = {k: net.double() for k,net in stargan.networks(3, **how).items()}
    for k in 'GFE': drawn(nets[k])
    plains = lambda: dict(G=textbook.StyledGenerator(4, 64, 32, 2, norm, noise=2),
                          F=textbook.mapping_network(3, 16, 64, 32, 3, 1), E=textbook.style_encoder(3, 4, 64, 16),
                          D=textbook.latent_discriminator(3, 4, 16, False))
    book = book_of(nets, plains, True)
    x,x_ref = torch.randn(2, 4, 4, 16, 16, dtype=torch.float64)
    z,noise = torch.randn(2, 4, 16, dtype=torch.float64),torch.randn(4, 6, 16, 16, dtype=torch.float64)
    b = stargan.Batch(x, x_ref, torch.tensor([0,1,1,0]), torch.tensor(y_trg), *z, noise)
    w = SimpleNamespace(adv=.9, sty=.7, cyc=1.3, id=.6, tex=3., margin=None, game='hinge', cells=4)
    filters = zero_mean_filters(4, 6, 3).double()
    curves = [domain_quantiles(torch.randn(5, 4, 16, 16).double()*(k+1), filters, n=50) for k in range(3)]
    loss_of = Texture(filters, torch.stack(curves, 1)).some(6, torch.Generator())
    def texture(fake): return loss_of(painted(fake)[0], None, 0, b.y_trg.repeat_interleave(3))
    n = SimpleNamespace(**nets)
    s = stargan.styles(n, b)
    loss,_ = stargan.g_loss(n, b, s, stargan.fakes(n, b, s, w, .8), w, .8, texture)
    want = textbook.painting_stargan_g_loss(book, b, filters, curves, w, .8)
    agree(loss=(loss, want), networks=(slope(loss, n.G, n.F, n.E), slope(want, book.G, book.F, book.E)))

# Pixel StarGAN v2

def pixel_case(plain):
    torch.manual_seed(0)
    how = dict(width=8, c_max=16, n_s=8, n_z=4, w_map=16)
    nets = {k: net.double() for k,net in pixels.networks(3, 32, 0, **how).items()}
    x,x_ref,x_ref2 = torch.rand(3, 4, 3, 32, 32, dtype=torch.float64)*2-1
    z,z2 = torch.randn(2, 4, 4, dtype=torch.float64)
    b = pixels.PixelBatch(x, torch.tensor([0,1,2,0]), x_ref, x_ref2, torch.tensor([1,1,0,2]), z, z2)
    w = SimpleNamespace(sty=.7, cyc=1.3, r1=.9, r1_every=1, margin=None, ds=lambda i: 1.5-.5*i, masks=None,
                        tex=0., cells=1)
    plains = lambda: dict(G=textbook.PixelGenerator(32, 8, 8, 16), F=textbook.mapping_network(3, 4, 8, 16, 4, 4),
                          E=textbook.pixel_style_encoder(3, 32, 8, 8, 16), D=textbook.pixel_discriminator(3, 32, 8, 16))
    return nets,book_of(nets, plains, plain),w,b

@on_both_networks
@by_both_kernels
def test_pixel_stargan_in_the_original_order(kernels, plain):
    "Four turns that share fakes and the way down move every network as the textbook's four separate ones do"
    nets,book,w,b = pixel_case(plain)
    rates = dict(G=1e-2, F=1e-3, E=1e-2, D=1e-2)
    steps = Steps(nets, book, lambda k,net: adam(net, rates[k], (0.,.99), 1e-4, decoupled=False),
                  lambda k,net: torch.optim.Adam(net.parameters(), rates[k], (0.,.99), weight_decay=1e-4))
    with kernels(): steps.ours(lambda learn,batch: pixels.ORDERS['original'](learn, batch, w), b)
    for i in range(3): textbook.pixel_step(book, steps.book_opts, b, w, i)
    s = torch.randn(4, 8, dtype=torch.float64)
    agree(**{k: steps.moves(k) for k in 'FED'}, G=steps.changes('G', b.x, s))

class Still(SimpleNamespace):
    "A learner whose networks stay where they are: it collects the loss and the gradient of every turn"
    micro_batch = None
    def update(self, loss, *names):
        self.turns.append((loss.detach(), slope(loss, *(getattr(self.n, k) for k in names))))

def turns_of(book, b, w, order):
    "The textbook's loss and gradient of every turn, at the same weights"
    s,other,r,other_r = textbook.pixel_styles(book, b)
    d_lat,d_ref = (textbook.pixel_d_loss(book, b, v.detach(), w) for v in (s, r))
    lat,ref = (textbook.pixel_g_loss(book, b, *pair, w, w.ds(0)) for pair in ((s, other), (r, other_r)))
    of_d = [slope(loss, book.D) for loss in (d_lat, d_ref)]
    of_g,of_gfe = slope(ref, book.G),slope(lat, book.G, book.F, book.E)
    if order == 'original': return [(d_lat, of_d[0]), (d_ref, of_d[1]), (lat, of_gfe), (ref, of_g)]
    joint = of_gfe.clone()
    joint[:len(of_g)] += of_g               # a reference teaches the generator alone
    return [((d_lat+d_ref)/2, sum(of_d)/2), (lat+ref, joint)]

@on_both_networks
@pytest.mark.parametrize('margin', [False, True])
@pytest.mark.parametrize('order', ['original','joint'])
def test_pixel_stargan_gradients(order, margin, plain):
    "Every loss and every gradient of the first step, without the optimizers in between"
    nets,book,w,b = pixel_case(plain)
    if margin: w.margin = middle_of(book, b)
    learn = Still(n=SimpleNamespace(**nets), i=0, turns=[], done=Done())
    pixels.ORDERS[order](learn, b, w)
    want = turns_of(book, b, w, order)
    assert len(learn.turns) == len(want)
    for (loss,gradient),(want_loss,want_gradient) in zip(learn.turns, want):
        agree(loss=(loss, want_loss), gradient=(gradient, want_gradient))

# OT-CFM

def flow_case(plain, shared=True):
    torch.manual_seed(0)
    nets = dict(V=drawn(otcfm.networks(2, dim=32, n_blocks=4, n_s=32, shared=shared)['V'].double()))
    plains = lambda: dict(V=textbook.FlowNetwork(6, 4, 32, 4, 7, 32, span=3 if shared else 1))
    x0,x1 = torch.randn(2, 6, 4, 8, 8, dtype=torch.float64)
    t,y = torch.rand(6, dtype=torch.float64),torch.tensor([0,1,0,1,0,1])
    hidden = torch.tensor([True,False,False,True,False,False])
    return nets,book_of(nets, plains, plain),(x0, x1, t, *pairing.flow_labels(y, 'noise', 2), hidden)

def flow_batch(x0, x1, t, y, null, hidden): return pairing.Batch(x0, x1, t, torch.where(hidden, null, y))

@on_both_networks
@by_both_kernels
@pytest.mark.parametrize('shared', [True, False])
def test_otcfm(kernels, shared, plain):
    "Loss, gradients and a translation with guidance"
    nets,book,rows = flow_case(plain, shared)
    V,x = nets['V'],rows[1]
    with kernels():
        loss = otcfm.cfm_loss(V, flow_batch(*rows)).mean()
        ours = slope(loss, V)
    want = textbook.flow_loss(book.V, *rows)
    source,target = (pairing.flow_labels(torch.tensor(y), 'noise', 2) for y in ([0,1,0,1,0,1],[1,0,1,0,1,0]))
    with torch.no_grad():
        with kernels(): made = otcfm.by_inversion(V, x, source, target, 5, 'euler', scale=2.)
        want_made = textbook.flow_transfer(book.V, x, source[0], *target, 5, 2.)
    assert error(want_made, x) > 1e-3
    agree(loss=(loss, want), grad=(ours, slope(want, book.V)), transfer=(made, want_made))

@on_both_networks
def test_otcfm_steps(plain):
    "With a gradient that is longer than it may be"
    nets,book,rows = flow_case(plain)
    steps = Steps(nets, book, lambda k,net: adam(net, 1e-3, (.9,.99), 1e-2),
                  lambda k,net: torch.optim.AdamW(net.parameters(), 1e-3, (.9,.99), weight_decay=1e-2))
    clip = .5*slope(textbook.flow_loss(book.V, *rows), book.V).norm().item()
    steps.ours(lambda learn,batch: otcfm.step(learn, batch, clip), flow_batch(*rows))
    for _ in range(3): textbook.flow_step(book, steps.book_opts, rows, clip)
    agree(V=steps.changes('V', rows[1], rows[2], rows[3]))

# Networks that the steps above do not reach

def compare(net, plain, x, *args):
    "What both networks make of `x`, and its gradients for `x` and for the weights"
    carry(net, plain)
    direction,out = None,[]
    for f in (net, plain):
        leaf = x.clone().requires_grad_()
        made = f(leaf, *args)
        direction = torch.randn_like(made) if direction is None else direction
        loss = (made*direction).sum()
        out.append((made, torch.autograd.grad(loss, leaf, retain_graph=True)[0], slope(loss, f)))
    agree(**dict(zip(('output','input','weights'), zip(*out))))

def pictures(n, size, c=3): return torch.rand(n, c, size, size, dtype=torch.float64)*2-1
def styles(n, n_s=8): return torch.randn(n, n_s, dtype=torch.float64)

@pytest.fixture
def wide_way(monkeypatch):
    "Wide layers take Winograd's way in float64 too, which is worth it in float32 only; the layers that did"
    taken = []
    def pays_anyway(x, w):
        taken.append(pays(x.float(), w.float()))
        return taken[-1]
    for module in [m for name,m in sys.modules.items() if name.startswith('latent_style.')]:
        if getattr(module, 'pays', None) is pays: monkeypatch.setattr(module, 'pays', pays_anyway)
    return taken

def test_wide_generator_of_latents(wide_way):
    torch.manual_seed(0)
    net = drawn(StyledGenerator(4, 8, 96, 2).double())
    compare(net, textbook.StyledGenerator(4, 8, 96, 2), pictures(2, 10, 4), styles(2))
    assert any(wide_way)

def test_wide_cyclegan_generator(wide_way):
    torch.manual_seed(0)
    net = drawn(ResnetGenerator(ngf=96, n_blocks=2, conv='dense').double(), std=.02)
    compare(net, textbook.CycleGenerator(4, 96, 2, 'dense', True, False), pictures(2, 10, 4))
    assert any(wide_way)

def test_wide_generator_of_pictures(wide_way):
    torch.manual_seed(0)
    net = PixelGenerator(32, 8, 192, width=192).double()
    compare(net, textbook.PixelGenerator(32, 8, 192, 192), pictures(1, 32), styles(1))
    assert any(wide_way)

def test_generator_with_a_high_pass_skip():
    torch.manual_seed(0)
    masks = [pictures(2, 64, 1).abs() for _ in range(2)]
    net,plain = PixelGenerator(64, 8, 16, w_hpf=2, width=4).double(),textbook.PixelGenerator(64, 8, 4, 16, w_hpf=2)
    compare(net, plain, pictures(2, 64), styles(2), masks)

def test_generator_of_pictures_with_noise_and_bridges():
    torch.manual_seed(0)
    net = PixelGenerator(64, 8, 16, width=4, noise=2, smooth=True, bridges=True).double()
    plain = textbook.BridgedGenerator(64, 8, 4, 16, 2)
    compare(net, plain, pictures(2, 64), styles(2), None, pictures(2, 64, 2))

@pytest.mark.parametrize('order', ['original','joint'])
def test_pixel_stargan_that_paints(order):
    "Noise that is another one on every way, means in the cycle, texture, bridges: gradients of all turns"
    nets,_,w,b = pixel_case(False)
    nets['G'] = PixelGenerator(32, 8, 16, width=8, noise=2, smooth=True, bridges=True).double()
    noise = torch.randn(4, 6, 32, 32, dtype=torch.float64)
    w.cells,w.tex = 4,3.*(order == 'joint')
    learn = Still(n=SimpleNamespace(**nets), i=0, turns=[], done=Done(), texture_filters=6, rank=0, world=1,
                  rng=lambda stream: torch.Generator())
    filters = zero_mean_filters(3, 6, 3).double()
    curves = torch.stack([domain_quantiles(pictures(5, 32)*(k+1), filters, n=50) for k in range(3)], 1)
    learn.texture = dict(all=Texture(filters, curves))
    pixels.ORDERS[order](learn, b._replace(noise=noise), w)
    n,y = learn.n,b.y_trg
    to,*backs = noise.chunk(3, 1)
    def of_path(s, s2, back, own):
        fake,other = (n.G(b.x, v, noise=to) for v in (s, s2))
        rec = n.G(fake, own, noise=back)
        terms = F.softplus(-n.D(fake, y)).mean() + w.sty*(n.E(fake, y)-s).abs().mean()
        return fake,terms + w.cyc*F.avg_pool2d(rec-b.x, 4).abs().mean() - 1.5*(fake-other.detach()).abs().mean()
    own = n.E(b.x, b.y_src)
    lat,of_lat = of_path(n.F(b.z1, y), n.F(b.z2, y), backs[0], own)
    ref,of_ref = of_path(n.E(b.x_ref, y).detach(), n.E(b.x_ref2, y), backs[1], own.detach())
    if order == 'original': return agree(lat=(learn.turns[2][0], of_lat), ref=(learn.turns[3][0], of_ref),
                                         g=(learn.turns[3][1], slope(of_ref, n.G)))
    tex = Texture(filters, curves).some(6, torch.Generator())(torch.cat([lat, ref]), None, 0, y.repeat(2))
    both = of_lat+of_ref+3*tex
    agree(loss=(learn.turns[1][0], both), g=(learn.turns[1][1][:sum(p.numel() for p in n.G.parameters())],
                                             slope(both, n.G)))

@pytest.mark.parametrize('k', [1, 3, 9])
def test_first_and_last_kernel(k):
    torch.manual_seed(0)
    conv = 'pointwise' if k == 1 else 'separable'
    compare(drawn(ResnetGenerator(ngf=8, n_blocks=1, conv=conv, k=k).double()),
            textbook.CycleGenerator(4, 8, 1, conv, True, False, k), pictures(2, 12, 4))

def test_spectral_norm_follows_the_weights():
    "In training every call takes one step of the power iteration"
    torch.manual_seed(0)
    net,plain = DomainDiscriminator(3, 4, 8).double(),textbook.latent_discriminator(3, 4, 8, True)
    carry(net, plain)
    x,y = pictures(2, 16, 4),torch.tensor([0,2])
    for _ in range(3): agree(verdicts=(net(x, y), plain(x, y)))
