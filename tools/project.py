"Where the project's parts are"
from pathlib import Path

root = Path(__file__).resolve().parent.parent
package = root/'latent_style'

def hidden(path, top):
    "Is `path`, or a folder on the way to it from `top`, built or hidden?"
    return any(part[0] in '._' for part in path.relative_to(top).parts[:-1]) or path.name[0] in '._'

def notebooks(top=root/'nbs'):
    "The pages of the course and of the workshop"
    return sorted(f for f in top.rglob('*.ipynb') if not hidden(f, top))

def modules(top=package):
    "All of the package's Python files"
    return sorted(f for f in top.rglob('*.py') if '__pycache__' not in f.parts)

def scripts():
    "Python that no notebook writes: tests, tools, benchmarks"
    folders = [root/name for name in ('tests', 'tools', 'bench')]
    return [f for folder in folders for f in sorted(folder.rglob('*.py'))]

def short(path):
    "A path as it reads from the top of the project"
    path = Path(path)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
