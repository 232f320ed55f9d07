"""Put a small copy of a run into the package.

    python tools/ship.py runs/lesson/run impressionist "latent_style train cyclegan ... --preset laptop"

The third word is the command that made the run; the copy tells it. What lay under the name before is replaced."""
import shutil, sys
from latent_style.method import module_of
from latent_style.run import pick_checkpoint, read_config
from latent_style.shipped import SHIPPED, shrunk

def main(run, name, command):
    config = read_config(run)
    names = [f'{k}_ema' if config['ema'] else k for k in module_of(config['method']).METHOD.averaged]
    if (SHIPPED/name).exists(): shutil.rmtree(SHIPPED/name)
    size = shrunk(config, pick_checkpoint(run), names, SHIPPED/name, command)
    print(f'demo:{name}: {size/2**20:.2f} MB')

if __name__ == '__main__': main(*sys.argv[1:])
