"""Hands back the photograph: the least that an entry can do.

An entry is this function. It may train for as long as `task.left()` says and gives back another function, from
photographs (n,3,h,w) in [-1,1] to paintings of the same shape."""

def fit(photo,         # latents of photographs: len(photo), photo.take(indices) -> (b,4,32,32)
        impressionist, # latents of paintings of other scenes, likewise
        task):         # CPU seconds task.left(); folders task.pictures, task.latents, task.scratch; task.codec()
    return lambda x: x
