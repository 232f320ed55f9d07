"""Install latent_style into the environment of this Python, with the build of PyTorch that fits the machine

    python tools/install.py                  the base: training and translating
    python tools/install.py translate        translating with trained runs alone, without PyTorch
    python tools/install.py dev              with everything that the tests need
    python tools/install.py --torch cpu      PyTorch's CPU build
    python tools/install.py --torch default  the build that pip chooses by itself
    python tools/install.py --torch torch==2.13.0

Without `--torch`, a Linux machine that shows no NVIDIA driver gets the CPU build, any other what pip chooses."""
import argparse, glob, re, shutil, subprocess, sys, urllib.request
from configparser import ConfigParser
from pathlib import Path

root = Path(__file__).resolve().parent.parent
CPU = 'https://download.pytorch.org/whl/cpu'
WAIT = 8     # seconds for the answer of PyTorch's own index
SIZES = {    # of the environment on Linux, where the default build brings CUDA
    ('cpu', ''): 'about 1.1 GB',
    ('cpu', 'dev'): 'less than 2 GB',
    ('default', ''): 'about 6 GB',
    ('default', 'dev'): 'about 6.5 GB',
    ('none', 'translate'): 'about 200 MB',
}
LEAN = 'numpy pillow safetensors fastcore filelock onnxruntime'.split()      # what graphs of runs need

def has_nvidia():
    "Is there a driver that answers, or at least a device?"
    if glob.glob('/dev/nvidia*'): return True
    program = shutil.which('nvidia-smi')
    if not program: return False
    try: return subprocess.run([program, '-L'], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired): return False

def answers(url):
    "Does the index at `url` answer soon?"
    try: return urllib.request.urlopen(f'{url}/torch/', timeout=WAIT).status == 200
    except (OSError, ValueError): return False

def build_of(asked):
    "'cpu', 'default' or a requirement, for what was asked, 'auto' included"
    if asked == 'auto': asked = 'cpu' if sys.platform == 'linux' and not has_nvidia() else 'default'
    if asked != 'cpu' or answers(CPU): return asked
    print(f"{CPU} cannot be reached: taking what pip chooses. To choose: make TORCH='torch==...' ...", flush=True)
    return 'default'

def pip(*arguments):
    quiet = '--disable-pip-version-check', '--no-input', '-q'
    # What is imported is compiled then; compiling everything now takes time and 150 MB
    subprocess.run([sys.executable, '-m', 'pip', 'install', '--no-compile', *quiet, *arguments], cwd=root, check=True)

def lean():
    "The requirements of `LEAN`, as settings.ini has them"
    config = ConfigParser(delimiters=['='])
    config.read(root/'settings.ini', encoding='utf-8')
    words = ' '.join(config['DEFAULT'][k] for k in ('requirements','onnx_requirements')).split()
    named = {re.match(r'[\w-]+', word)[0]: word for word in words}
    return [named[name] for name in LEAN]

def install(extra, build):
    if build == 'none':
        pip('--no-warn-conflicts', *lean())
        pip('--no-deps', '.')        # what it leaves out is left out on purpose
        return print(f'Done: {Path(sys.executable).parent/"latent_style"} translate demo:impressionist PICTURE')
    names = ['torch', 'torchvision'] if extra in ('dev', 'all', 'eval') else ['torch']
    if build == 'cpu': pip('--timeout', '30', '--retries', '1', '--index-url', CPU, *names)
    elif build != 'default': pip(*build.split())
    pip('-e', f'.[{extra}]' if extra else '.')
    if len(names) == 2: together()

def together():
    "torchvision fits one release and one build of torch, which pip may not notice"
    r = subprocess.run([sys.executable, '-c', 'import torchvision'], cwd=root, capture_output=True, text=True)
    if not r.returncode: return
    reason = r.stderr.strip().splitlines()[-1]
    sys.exit(f'torch and torchvision do not fit one another ({reason}): build the environment anew, after `make clean`')

def announcement(extra, build):
    "What is about to happen, and the disk that it takes where that is known"
    names = {'none': 'what translating needs', 'cpu': "PyTorch's CPU build", 'default': "PyTorch's default build"}
    name = names.get(build, build)
    size = SIZES.get((build, extra)) if sys.platform == 'linux' else None
    return f'Installing latent_style with {name}: a few minutes' + (f' and {size} of disk' if size else '')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('extra', nargs='?', default='', help='`translate`, or one of the extras in settings.ini')
    p.add_argument('--torch', default='auto', help='auto, cpu, default, or a requirement as pip understands it')
    a = p.parse_args()
    build = 'none' if a.extra == 'translate' else build_of(a.torch)
    print(announcement(a.extra, build), flush=True)
    try: install(a.extra, build)
    except subprocess.CalledProcessError as e: sys.exit(e.returncode)

if __name__ == '__main__': main()
