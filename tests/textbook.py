"""Four methods as their papers write them: losses, steps and networks in plain PyTorch, to be checked against.

Nothing here is meant to be fast, and nothing comes from the library. Every fake is made where a formula asks for it,
every loss is a line of a paper, every layer is one of `torch.nn`. Networks are attributes of a namespace `n`:

    n.G(x, s) -> picture or latent          generator; CycleGAN: n.G(a), and n.F(b) for the way back
    n.F(z, y) -> style                      mapping network
    n.E(x, y) -> style                      style encoder
    n.D(x, y) -> logits of any shape        discriminator; CycleGAN: n.D_A(a), n.D_B(b)
    n.V(x, t, y) -> velocity                of a flow

A step is given one optimizer for each network, in a dict of the same names."""
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

# Distances, games, penalties

def l1(a, b): return (a-b).abs().mean()

def least_squares(logits, target):
    "Mao et al. 2017, eq. 9"
    return (logits-target).pow(2).mean()

def hinge(real, fake):
    "Loss of the discriminator (Lim & Ye 2017)"
    return torch.clamp(1-real, min=0).mean() + torch.clamp(1+fake, min=0).mean()

def cross_entropy(logits, target):
    "Of verdicts and one target for all: the game of Goodfellow et al. 2014, whose generator does not saturate"
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

def gradient_penalty(D, x, y):
    "R1 without its factor of a half: squared norm of the gradient at real samples (Mescheder et al. 2018, eq. 9)"
    x = x.clone().requires_grad_()
    slope = torch.autograd.grad(D(x, y).sum(), x, create_graph=True)[0]
    return slope.pow(2).sum((1,2,3)).mean()

def diversity(fake, other, margin=None):
    "Choi et al. 2020, eq. 3; with a margin, no picture is rewarded for more than that"
    apart = (fake-other).abs().mean((1,2,3))
    return apart.mean() if margin is None else apart.clamp(max=margin).mean()

def descend(loss, opts, names):
    "One step of the named optimizers against the gradient of `loss`"
    for opt in opts.values(): opt.zero_grad()
    loss.backward()
    for name in names: opts[name].step()

# CycleGAN (Zhu et al. 2017, with the least squares of section 4)

def cyclegan_g_loss(n, a, b, w):
    "Both generators: game and cycle (eq. 1 to 3), identity (section 5.2)"
    fake_b,fake_a = n.G(a),n.F(b)
    game = least_squares(n.D_B(fake_b), 1) + least_squares(n.D_A(fake_a), 1)
    cycle = l1(n.F(fake_b), a) + l1(n.G(fake_a), b)
    identity = l1(n.G(b), b) + l1(n.F(a), a)
    return game + w.cyc*cycle + w.cyc*w.id*identity

def texture_loss(x, filters, curves):
    """Sliced Wasserstein distance of the patches of `x`, of all its rows together, to quantiles of a domain, at full
    and half size (Rabin et al. 2011): numbers in order against numbers in order"""
    loss = 0
    for scale,curve in zip((1,2), curves):
        for f,q in zip(filters, curve):
            r = F.conv2d(F.avg_pool2d(x, scale), f[None]).flatten().sort()[0]
            places = ((torch.arange(len(r))+.5)/len(r)*len(q)).long()
            loss = loss + (r-q[places]).abs().mean()/len(filters)
    return loss

def painting_g_loss(n, a, b, noise, filters, curves, w):
    "The same with three draws of noise a sample, means of cells, and the texture of both domains"
    (a1,a2,a3),(b1,b2,b3) = (e.chunk(3, 1) for e in noise)
    def paint(net, x, e): return net(torch.cat([x, e], 1))
    def far(x, y, k): return l1(F.avg_pool2d(x, k), F.avg_pool2d(y, k))
    of_a,of_b = w.cells
    fake_b,fake_a = paint(n.G, a, a1),paint(n.F, b, b1)
    game = least_squares(n.D_B(fake_b), 1) + least_squares(n.D_A(fake_a), 1)
    cycle = far(paint(n.F, fake_b, a2), a, of_a) + far(paint(n.G, fake_a, b2), b, of_b)
    identity = far(paint(n.G, b, b3), b, of_b) + far(paint(n.F, a, a3), a, of_a)
    texture = texture_loss(fake_a, filters, curves[0]) + texture_loss(fake_b, filters, curves[1])
    return game + w.cyc*cycle + w.cyc*w.id*identity + w.tex*texture

def cyclegan_d_loss(n, a, b, fake_a, fake_b, w):
    "Both discriminators; each objective is divided by 2 (section 7.1)"
    of_a = least_squares(n.D_A(a), 1) + least_squares(n.D_A(fake_a), 0)
    of_b = least_squares(n.D_B(b), 1) + least_squares(n.D_B(fake_b), 0)
    return w.d_scale*(of_a/2 + of_b/2)

def cyclegan_step(n, opts, a, b, w):
    "Generators first, then the discriminators on the fakes that the generators were judged by"
    with torch.no_grad(): fake_b,fake_a = n.G(a),n.F(b)
    descend(cyclegan_g_loss(n, a, b, w), opts, ('G','F'))
    descend(cyclegan_d_loss(n, a, b, fake_a, fake_b, w), opts, ('D_A','D_B'))

# Latent StarGAN v2 (the terms of Choi et al. 2020; the hinge, and one update for noise and references together)

def stargan_d_loss(n, b, w, r1_every=0):
    "Mean of the paths; a lazy penalty stands for the steps without it (Karras et al. 2020, appendix B)"
    with torch.no_grad(): fakes = [n.G(b.x, s) for s in (n.E(b.x_ref, b.y_trg), n.F(b.z1, b.y_trg))]
    loss = sum(hinge(n.D(b.x_ref, b.y_trg), n.D(fake, b.y_trg)) for fake in fakes)/2
    return loss + w.r1*r1_every*gradient_penalty(n.D, b.x_ref, b.y_trg) if r1_every else loss

def stargan_path(n, b, s, w):
    "What one path adds for the generator: game, style (eq. 2) and cycle (eq. 4) of the style `s`"
    fake = n.G(b.x, s)
    back = n.G(fake, n.E(b.x, b.y_src))
    return w.adv*-n.D(fake, b.y_trg).mean() + w.sty*l1(n.E(fake, b.y_trg), s) + w.cyc*l1(back, b.x)

def stargan_g_loss(n, b, w, ds):
    "Generator, mapping network and style encoder: both paths, identity, and diversity of two noises (eq. 3)"
    s,other = n.F(b.z1, b.y_trg),n.F(b.z2, b.y_trg)
    paths = stargan_path(n, b, n.E(b.x_ref, b.y_trg), w) + stargan_path(n, b, s, w)
    identity = l1(n.G(b.x, n.E(b.x, b.y_src)), b.x)
    return paths + w.id*identity - ds*diversity(n.G(b.x, s), n.G(b.x, other), w.margin)

def texture_of_domains(fakes, y, filters, curves):
    "The texture of all pictures that go to one domain, in the share of that domain"
    parts = [[fake[y == k] for fake in fakes] for k in range(len(curves))]
    return sum(len(part[0])/len(y)*texture_loss(torch.cat(part), filters, curves[k])
               for k,part in enumerate(parts) if len(part[0]))

def painting_stargan_g_loss(n, b, filters, curves, w, ds):
    "The same with a hand for the pictures and one for each way back, means of cells, and the texture of each domain"
    to,*hands = b.noise.chunk(3, 1)
    def far(x): return l1(F.avg_pool2d(x, w.cells), F.avg_pool2d(b.x, w.cells))
    own,s_ref,s,other = n.E(b.x, b.y_src),n.E(b.x_ref, b.y_trg),n.F(b.z1, b.y_trg),n.F(b.z2, b.y_trg)
    ref,lat,lat2,same = (n.G(b.x, v, to) for v in (s_ref,s,other,own))
    loss = w.id*far(same) - ds*diversity(lat, lat2, w.margin)
    for fake,style,hand in ((ref,s_ref,hands[0]), (lat,s,hands[1])):
        loss = loss + w.adv*-n.D(fake, b.y_trg).mean() + w.sty*l1(n.E(fake, b.y_trg), style)
        loss = loss + w.cyc*far(n.G(fake, own, hand))
    return loss + w.tex*texture_of_domains((ref,lat,lat2), b.y_trg, filters, curves)

def stargan_step(n, opts, b, w, i):
    "The discriminator, then the others together"
    descend(stargan_d_loss(n, b, w, w.r1_every if i % w.r1_every == 0 else 0), opts, ('D',))
    descend(stargan_g_loss(n, b, w, w.ds(i)), opts, ('G','F','E'))

# Pixel StarGAN v2 (Choi et al. 2020 and its training details, in the order of the authors' program)

def pixel_d_loss(n, b, s, w):
    "The discriminator against the style `s` (eq. 1), with half of R1 at the sources"
    with torch.no_grad(): fake = n.G(b.x, s)
    game = cross_entropy(n.D(b.x, b.y_src), 1.) + cross_entropy(n.D(fake, b.y_trg), 0.)
    return game + w.r1*gradient_penalty(n.D, b.x, b.y_src)/2

def pixel_g_loss(n, b, s, other, w, ds):
    "Full objective of the style `s` (eq. 5); the second picture of the diversity term is a constant"
    fake = n.G(b.x, s)
    with torch.no_grad(): second = n.G(b.x, other)
    game,style = cross_entropy(n.D(fake, b.y_trg), 1.),l1(n.E(fake, b.y_trg), s)
    cycle = l1(n.G(fake, n.E(b.x, b.y_src)), b.x)
    return game + w.sty*style + w.cyc*cycle - ds*diversity(fake, second, w.margin)

def pixel_styles(n, b):
    "Two styles from noise and two from references, all of the target domain"
    y = b.y_trg
    return n.F(b.z1, y),n.F(b.z2, y),n.E(b.x_ref, y),n.E(b.x_ref2, y)

def pixel_step(n, opts, b, w, i):
    "D against noise, D against references, G with F and E on noise, G alone on references"
    with torch.no_grad(): s,_,r,_ = pixel_styles(n, b)
    descend(pixel_d_loss(n, b, s, w), opts, ('D',))
    descend(pixel_d_loss(n, b, r, w), opts, ('D',))
    s,other,_,_ = pixel_styles(n, b)
    descend(pixel_g_loss(n, b, s, other, w, w.ds(i)), opts, ('G','F','E'))
    _,_,r,other = pixel_styles(n, b)
    descend(pixel_g_loss(n, b, r, other, w, w.ds(i)), opts, ('G',))

# OT-CFM (Lipman et al. 2022, Tong et al. 2023; guidance: Ho & Salimans 2022)

def flow_loss(V, x0, x1, t, y, null, hidden):
    "Regression on the velocity of straight paths (Tong et al. 2023, eq. 16); `hidden` rows see the label `null`"
    at = t[:,None,None,None]
    predicted = V((1-at)*x0 + at*x1, t, torch.where(hidden, null, y))
    return (predicted - (x1-x0)).pow(2).mean()

def flow_step(n, opts, batch, clip):
    "One step along the gradient, shortened where it is longer than `clip` (Pascanu et al. 2013)"
    opts['V'].zero_grad()
    flow_loss(n.V, *batch).backward()
    weights = list(n.V.parameters())
    length = sum(p.grad.pow(2).sum() for p in weights).sqrt()
    for p in weights: p.grad *= min(1., clip/length)
    opts['V'].step()

def flow_transfer(V, x, y_src, y_trg, null, n_steps, w):
    "Euler to t=0 under the source's label, and back with guidance (Ho & Salimans 2022, eq. 6, whose w is our w-1)"
    times = [k/n_steps for k in range(n_steps+1)]
    def velocity(x, t, y): return V(x, torch.full((len(x),), t, dtype=x.dtype), y)
    for t in reversed(times[1:]): x = x - velocity(x, t, y_src)/n_steps
    for t in times[:-1]:
        guided = w*velocity(x, t, y_trg) - (w-1)*velocity(x, t, null)
        x = x + guided/n_steps
    return x

# Networks of CycleGAN (Zhu et al. 2017, section 7.2)

def mirrored(c_in, c_out, k, groups=1, bias=False):
    "A convolution that sees a mirrored frame"
    return nn.Conv2d(c_in, c_out, k, padding=k//2, padding_mode='reflect', groups=groups, bias=bias)

def mixing(c, conv):
    "Convolutions of a residual block: dense, separable (Chollet 2017), or of single points"
    if conv == 'separable': return [mirrored(c, c, 3, groups=c), nn.Conv2d(c, c, 1, bias=False)]
    return [mirrored(c, c, 3 if conv == 'dense' else 1)]

class CycleBlock(nn.Module):
    "He et al. 2016, without the rectifier at the end (Johnson et al. 2016)"
    def __init__(self, c, conv):
        super().__init__()
        first,second = ([*mixing(c, conv), nn.InstanceNorm2d(c)] for _ in range(2))
        self.change = nn.Sequential(*first, nn.ReLU(), *second)

    def forward(self, x): return x + self.change(x)

class CycleGenerator(nn.Module):
    "A first layer, residual blocks, a last layer; the size stays"
    def __init__(self, c, width, n_blocks, conv, residual, tanh, k=None, noise=0):
        super().__init__()
        k = k or dict(dense=7, separable=5, pointwise=1)[conv]
        first = [mirrored(c+noise, width, k), nn.InstanceNorm2d(width), nn.ReLU()]
        last = [mirrored(width, c, k, bias=True), nn.Tanh() if tanh else nn.Identity()]
        self.layers = nn.Sequential(*first, *[CycleBlock(width, conv) for _ in range(n_blocks)], *last)
        self.residual,self.c = residual,c

    def forward(self, x): return self.layers(x) + (x[:,:self.c] if self.residual else 0)

def normed(layer, sn):
    "With its weight divided by the largest singular value (Miyato et al. 2018)"
    return spectral_norm(layer) if sn else layer

def patch_discriminator(c, width, stride, sn):
    "A verdict for every patch (Isola et al. 2017)"
    k = 4 if stride == 2 else 3
    return nn.Sequential(normed(nn.Conv2d(c, width, k, stride, 1), sn), nn.LeakyReLU(.2),
                         normed(nn.Conv2d(width, 2*width, k, stride, 1, bias=False), sn), nn.LeakyReLU(.2),
                         normed(nn.Conv2d(2*width, 1, 3, padding=1), sn))

# Networks of StarGAN v2 (Choi et al. 2020, appendix), for latents and for pictures

def groups(c): return max(k for k in range(1, 33) if 32 % k == 0 and c % k == 0)

def norm_of(kind, c, affine):
    "Instance norm (Ulyanov et al. 2016) or group norm (Wu & He 2018)"
    return nn.InstanceNorm2d(c, affine=affine) if kind == 'in' else nn.GroupNorm(groups(c), c, affine=affine)

class StyleNorm(nn.Module):
    "A norm whose factor and offset are linear in the style (Huang & Belongie 2017)"
    def __init__(self, c, n_s, kind='in'):
        super().__init__()
        self.norm,self.linear = norm_of(kind, c, affine=False),nn.Linear(n_s, 2*c)

    def forward(self, x, s):
        factor,offset = self.linear(s)[:,:,None,None].chunk(2, 1)
        return (1+factor)*self.norm(x) + offset

class StyledBlock(nn.Module):
    "A residual block of the latent generator"
    def __init__(self, c, n_s, kind):
        super().__init__()
        self.norm1,self.norm2 = StyleNorm(c, n_s, kind),StyleNorm(c, n_s, kind)
        self.conv1,self.conv2 = nn.Conv2d(c, c, 3, padding=1),nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x, s):
        h = self.conv1(F.leaky_relu(self.norm1(x, s), .2))
        return x + self.conv2(F.leaky_relu(self.norm2(h, s), .2))

class StyledGenerator(nn.Module):
    "Generator of latents, which keeps their size"
    def __init__(self, c, n_s, width, n_blocks, kind='in', residual=False, noise=0):
        super().__init__()
        def layer(c_in):
            return [nn.Conv2d(c_in, width, 3, padding=1), norm_of(kind, width, affine=True), nn.LeakyReLU(.2)]
        self.before = nn.Sequential(*layer(c+noise), *layer(width))
        self.blocks = nn.ModuleList(StyledBlock(width, n_s, kind) for _ in range(n_blocks))
        self.after = nn.Sequential(nn.Conv2d(width, width//2, 3, padding=1), nn.LeakyReLU(.2),
                                   nn.Conv2d(width//2, c, 3, padding=1))
        self.residual = residual

    def forward(self, x, s, *noise):
        h = self.before(torch.cat([x, *noise], 1))
        for block in self.blocks: h = block(h, s)
        return self.after(h) + (x if self.residual else 0)

class Branches(nn.Module):
    "Shared layers, then one branch for each domain; only the branch of `y` answers"
    def __init__(self, shared, branches):
        super().__init__()
        self.shared,self.branches = shared,nn.ModuleList(branches)

    def forward(self, x, y):
        h = self.shared(x)
        return torch.stack([self.branches[k](h[i]) for i,k in enumerate(y.tolist())])

class OneOutput(nn.Module):
    "A discriminator of many domains: only the output of domain `y` counts"
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x, y): return torch.stack([out[k] for out,k in zip(self.layers(x), y.tolist())])

def mapping_network(n_domains, n_z, n_s, width, n_shared, n_own):
    "`n_shared` layers for all domains, `n_own` for each"
    def layers(c_in, count):
        sizes = [c_in]+[width]*count
        return [layer for a,b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    own = (nn.Sequential(*layers(width, n_own-1), nn.Linear(width, n_s)) for _ in range(n_domains))
    return Branches(nn.Sequential(*layers(n_z, n_shared)), own)

def style_encoder(n_domains, c, n_s, width):
    "The style of a latent: three convolutions and a mean over all places"
    layers = []
    for c_in,c_out,stride in ((c,width,1),(width,2*width,2),(2*width,2*width,2)):
        layers += [nn.Conv2d(c_in, c_out, 3, stride, 1), nn.LeakyReLU(.2)]
    shared = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Branches(shared, (nn.Linear(2*width, n_s) for _ in range(n_domains)))

def latent_discriminator(n_domains, c, width, sn):
    "Maps of verdicts, one for each domain"
    layers = []
    for c_in,c_out,stride in ((c,width,1),(width,2*width,2),(2*width,4*width,2)):
        layers += [normed(nn.Conv2d(c_in, c_out, 3, stride, 1), sn), nn.LeakyReLU(.2)]
    return OneOutput(nn.Sequential(*layers, normed(nn.Conv2d(4*width, n_domains, 1), sn)))

class PixelBlock(nn.Module):
    "A residual block of the way down: with or without norms, halving the size or not"
    def __init__(self, c_in, c_out, norm=False, down=False):
        super().__init__()
        self.conv1,self.conv2 = nn.Conv2d(c_in, c_in, 3, padding=1),nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm1,self.norm2 = (nn.InstanceNorm2d(c_in, affine=True) if norm else nn.Identity() for _ in range(2))
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1, bias=False)
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x):
        h = self.pool(self.conv1(F.leaky_relu(self.norm1(x), .2)))
        h = self.conv2(F.leaky_relu(self.norm2(h), .2))
        return (self.pool(self.shortcut(x)) + h)/math.sqrt(2)

class StyledPixelBlock(nn.Module):
    "A block of the way up, which the style enters; without a shortcut where details come by the high-pass skip"
    def __init__(self, c_in, c_out, n_s, up=False, skip=False):
        super().__init__()
        self.conv1,self.conv2 = nn.Conv2d(c_in, c_out, 3, padding=1),nn.Conv2d(c_out, c_out, 3, padding=1)
        self.norm1,self.norm2 = StyleNorm(c_in, n_s),StyleNorm(c_out, n_s)
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1, bias=False)
        self.larger = nn.Upsample(scale_factor=2) if up else nn.Identity()
        self.skip = skip

    def forward(self, x, s):
        h = self.conv1(self.larger(F.leaky_relu(self.norm1(x, s), .2)))
        h = self.conv2(F.leaky_relu(self.norm2(h, s), .2))
        return h if self.skip else (self.shortcut(self.larger(x)) + h)/math.sqrt(2)

def high_pass(x, w_hpf):
    "Every channel under the kernel of -1 around 8, divided by `w_hpf`"
    around = F.unfold(x, 3, padding=1).view(len(x), x.shape[1], 9, *x.shape[2:]).sum(2)
    return (9*x - around)/w_hpf

class PixelGenerator(nn.Module):
    "Down to 16x16, or to 8x8 with the high-pass skip, through the bottleneck, and up again"
    def __init__(self, size, n_s, width, c_max, w_hpf=0):
        super().__init__()
        n_halvings = int(math.log2(size)) - (3 if w_hpf else 4)
        widths = [min(width*2**k, c_max) for k in range(n_halvings+1)]
        steps = [(a, b, True) for a,b in zip(widths, widths[1:])] + [(widths[-1], widths[-1], False)]*2
        self.first = nn.Conv2d(3, widths[0], 3, padding=1)
        self.last = nn.Sequential(nn.InstanceNorm2d(widths[0], affine=True), nn.LeakyReLU(.2),
                                  nn.Conv2d(widths[0], 3, 1))
        self.down = nn.ModuleList(PixelBlock(a, b, True, half) for a,b,half in steps)
        self.up = nn.ModuleList(StyledPixelBlock(b, a, n_s, half, w_hpf > 0) for a,b,half in reversed(steps))
        self.w_hpf = w_hpf

    def forward(self, x, s, masks=None):
        x,kept = self.first(x),{}
        for block in self.down:
            kept[x.shape[2]] = x
            x = block(x)
        for block in self.up:
            x = block(x, s)
            if masks is not None and x.shape[2] in (32,64,128): x = x + self.details(kept[x.shape[2]], masks)
        return self.last(x)

    def details(self, x, masks):
        "Edges of the way down inside the mask of their size: the first for side 32, the second above"
        mask = F.interpolate(masks[0 if x.shape[2] == 32 else 1], size=x.shape[2:], mode='bilinear')
        return high_pass(mask*x, self.w_hpf)

class BridgedGenerator(PixelGenerator):
    "Noise beside the picture, doubled maps blurred, and the maps of the way down added before the second norm"
    def __init__(self, size, n_s, width, c_max, noise):
        super().__init__(size, n_s, width, c_max)
        self.first = nn.Conv2d(3+noise, self.first.out_channels, 3, padding=1)

    def forward(self, x, s, masks=None, noise=None):
        x,kept = self.first(torch.cat([x, noise], 1)),[]
        for block in self.down:
            if isinstance(block.pool, nn.AvgPool2d): kept.append(x)
            x = block(x)
        for block in self.up:
            if isinstance(block.larger, nn.Upsample): x = self.wider(block, x, s, kept.pop())
            else: x = block(x, s)
        return self.last(x)

    def wider(self, block, x, s, seen):
        h = blurred(block.conv1(block.larger(F.leaky_relu(block.norm1(x, s), .2)))) + seen
        h = block.conv2(F.leaky_relu(block.norm2(h, s), .2))
        return (blurred(block.larger(block.shortcut(x))) + h)/math.sqrt(2)

def blurred(x):
    "Every channel under the kernel of 1 2 1, across and down"
    row = torch.tensor([.25,.5,.25], dtype=x.dtype)
    kernel = (row*row[:,None]).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1,1,1,1), 'replicate'), kernel, groups=x.shape[1])

def funnel(size, width, c_max):
    "Layers from a picture to a single place, and how many channels it has"
    widths = [min(width*2**k, c_max) for k in range(int(math.log2(size))-1)]
    blocks = [PixelBlock(a, b, down=True) for a,b in zip(widths, widths[1:])]
    end = [nn.LeakyReLU(.2), nn.Conv2d(widths[-1], widths[-1], 4), nn.LeakyReLU(.2)]
    return [nn.Conv2d(3, widths[0], 3, padding=1), *blocks, *end],widths[-1]

def pixel_style_encoder(n_domains, size, n_s, width, c_max):
    layers,c = funnel(size, width, c_max)
    return Branches(nn.Sequential(*layers, nn.Flatten()), (nn.Linear(c, n_s) for _ in range(n_domains)))

def pixel_discriminator(n_domains, size, width, c_max):
    layers,c = funnel(size, width, c_max)
    return OneOutput(nn.Sequential(*layers, nn.Conv2d(c, n_domains, 1), nn.Flatten()))

# The network of a flow: blocks of Liu et al. 2022 (ConvNeXt, isotropic), styled as in Dhariwal & Nichol 2021

def time_code(t, n):
    "Cosines and sines of 1000 t at n/2 frequencies (Vaswani et al. 2017, section 3.5)"
    rates = torch.tensor([10_000**(-2*k/n) for k in range(n//2)], dtype=t.dtype)
    angles = 1000*t[:,None]*rates
    return torch.cat([torch.cos(angles), torch.sin(angles)], 1)

class FlowBlock(nn.Module):
    "Look around, norm in the style `linear(s)`, widen, rectify, narrow, and add a little of it"
    def __init__(self, c, k, linear):
        super().__init__()
        self.share = nn.Parameter(torch.ones(c, 1, 1))
        self.around = nn.Conv2d(c, c, k, padding=k//2, groups=c)
        self.norm,self.linear = nn.GroupNorm(groups(c), c, affine=False),linear
        self.mlp = nn.Sequential(nn.Conv2d(c, 4*c, 1), nn.GELU(), nn.Conv2d(4*c, c, 1))

    def forward(self, x, s):
        factor,offset = self.linear(s)[:,:,None,None].chunk(2, 1)
        return x + self.share*self.mlp(factor*self.norm(self.around(x)) + offset)

class FlowNetwork(nn.Module):
    "Velocity of latents at a time under a label; each style layer serves `span` blocks"
    def __init__(self, n_labels, c, width, n_blocks, k, n_s, span):
        super().__init__()
        self.first = nn.Conv2d(c, width, 3, padding=1)
        self.of_time = nn.Sequential(nn.Linear(n_s, 4*n_s), nn.GELU(), nn.Linear(4*n_s, n_s))
        self.of_label = nn.Embedding(n_labels, n_s)
        self.fuse = nn.Sequential(nn.Linear(2*n_s, 2*n_s), nn.GELU(), nn.Linear(2*n_s, n_s))
        linears = [nn.Linear(n_s, 2*width) for _ in range(0, n_blocks, span)]
        if span > 1: self.linears = nn.ModuleList(linears)
        self.blocks = nn.ModuleList(FlowBlock(width, k, linears[i//span]) for i in range(n_blocks))
        self.last = nn.Sequential(nn.GroupNorm(groups(width), width), nn.GELU(), nn.Conv2d(width, c, 3, padding=1))
        self.n_s = n_s

    def forward(self, x, t, y):
        s = self.fuse(torch.cat([self.of_time(time_code(t, self.n_s)), self.of_label(y)], 1))
        x = self.first(x)
        for block in self.blocks: x = block(x, s)
        return self.last(x)
