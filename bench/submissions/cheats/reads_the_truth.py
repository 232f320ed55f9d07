"""Refused. Tries to get at true translations instead of learning from two folders.

1. It makes the scorer say 1. The scorer is another process: nothing happens.
2. It takes files of one name for a photograph and its painting. They show different scenes: nothing is gained.
3. It asks the painter for the same scenes in both manners, as many pairs as it likes. That is refused."""
import torch
from latent_style import eval as judge

def fit(photo, impressionist, task):
    judge.truth_score = lambda *args, **kw: dict(score=1., lo=1., hi=1., error=0., floor=0., identity=1., n=1)
    pairs = sorted(set(photo.names) & set(impressionist.names))
    print(len(pairs), 'files have one name')
    from latent_style.painted import paint
    from latent_style.scenes import paint_scenes
    scenes = paint_scenes(1000, seed=3)
    x,y = (paint(scenes, manner) for manner in ('photo', 'impressionist'))
    return lambda pictures: y[torch.cdist(pictures.flatten(1), x.flatten(1)).argmin(1)]
