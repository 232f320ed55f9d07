"""StarGAN v2, preset `laptop`: one generator for both directions, a style says which. Here the mean style, without
an example."""
import torch
from latent_style import stargan

OPTIONS = dict(domains=['photo', 'impressionist'], preset='laptop', device='cpu', progress=False, sample_every=0,
               ckpt_every=10**9, health_every=0)

def fit(photo, impressionist, task):
    def train(n, folder): return stargan.train(task.latents, folder, n_steps=n, **OPTIONS)
    n = task.how_many(train)
    print(n, 'steps')
    learn = train(n, task.scratch/'run')
    return lambda x: torch.stack(stargan.translate(learn, x, 'impressionist', psi=0., device='cpu'))
