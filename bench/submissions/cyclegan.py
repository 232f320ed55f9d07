"""CycleGAN, preset `laptop`, for as many steps as three minutes have room for."""
import torch
from latent_style import cyclegan

OPTIONS = dict(domains=['photo', 'impressionist'], preset='laptop', device='cpu', progress=False, sample_every=0,
               ckpt_every=10**9)

def fit(photo, impressionist, task):
    def train(n, folder): return cyclegan.train(task.latents, folder, n_steps=n, **OPTIONS)
    # the rates fall over the whole length, which must be known before: a short training tells what a step costs
    n = task.how_many(train)
    print(n, 'steps')
    learn = train(n, task.scratch/'run')
    return lambda x: torch.stack(cyclegan.translate(learn, x, 'impressionist', device='cpu'))
