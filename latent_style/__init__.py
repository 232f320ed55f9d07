"Learn and do style transfer in the latent space of an image autoencoder"

__version__ = "0.1.0"

def __getattr__(name):
    "The public names, loaded when they are asked for; their table is in `latent_style.public`"
    if name.startswith('__'): raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module
    try: return import_module(f'{__name__}.public').public(name)
    except AttributeError:
        if name[:1] == '_': raise
        try: return import_module(f'{__name__}.{name}')      # a room: `latent_style.stargan`
        except ModuleNotFoundError: pass
        raise

def __dir__():
    from latent_style.public import PUBLIC
    return sorted({*globals(), *PUBLIC, 'train', 'load_run', 'translate'})
