"""Put a small copy of a run into the package.

    python tools/ship.py runs/lesson/run impressionist "latent_style train cyclegan ... --preset laptop"

The third word is the command that made the run; the copy tells it. What lay under the name before is replaced.

    python tools/ship.py graphs

writes the graphs of all runs of the package and of its codec anew (their files need onnx and onnxscript)."""
import shutil, sys
from latent_style.method import module_of
from latent_style.run import pick_checkpoint, read_config
from latent_style.shipped import SHIPPED, shipped_runs, shrunk
from latent_style.skeletons import skeletons

def main(run, name, command):
    config = read_config(run)
    names = [f'{k}_ema' if config['ema'] else k for k in module_of(config['method']).METHOD.averaged]
    if (SHIPPED/name).exists(): shutil.rmtree(SHIPPED/name)
    size = shrunk(config, pick_checkpoint(run), names, SHIPPED/name, command)
    skeletons(f'demo:{name}')
    print(f'demo:{name}: {size/2**20:.2f} MB')

def graphs():
    "The graphs of what is there"
    codec = SHIPPED.parent/'weights/tiny'
    for name in shipped_runs(): print(f'{name}: {len(skeletons(name, codec))} files')

if __name__ == '__main__': graphs() if sys.argv[1:] == ['graphs'] else main(*sys.argv[1:])
