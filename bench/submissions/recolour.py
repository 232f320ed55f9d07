"""Gives photographs the colours of the paintings, by one linear map: right in two thirds of what a pixel error sees,
and not painted at all. The score has to see that."""
from latent_style.eval import as_pictures
from latent_style.texture import recolour

def fit(photo, impressionist, task):
    photos,paintings = (as_pictures(task.pictures/name) for name in ('photo', 'impressionist'))
    return lambda x: recolour(x, photos, paintings)
