"""Flow matching with optimal transport, preset `laptop`: a first flow colours, a second one paints over it. A
translation is many calls of the network, so more of the time is kept for it."""
import torch
from latent_style import otcfm

OPTIONS = dict(domains=['photo', 'impressionist'], preset='laptop', device='cpu', progress=False, sample_every=0,
               ckpt_every=10**9)

def fit(photo, impressionist, task):
    def train(n, folder): return otcfm.train(task.latents, folder, n_steps=n, **OPTIONS)
    n = task.how_many(train, keep=.35)
    print(n, 'steps')
    learn = train(n, task.scratch/'run')
    return lambda x: torch.stack(otcfm.translate(learn, x, 'impressionist', device='cpu'))
