"""Run notebooks in a fresh kernel and store their outputs

    python tools/execute.py                     all notebooks
    python tools/execute.py nbs/00_data.ipynb   this one
    python tools/execute.py --long nbs/...      also the cells marked `eval: false`: the real runs, minutes to hours

The cells that nbdev_test skips (`eval: false`, and the flags named in settings.ini) are skipped here too and keep
the outputs they have, so a long run's results survive. A notebook with a failing cell is left as it was."""
import argparse, os, sys, time
from pathlib import Path
from project import notebooks, root

os.environ.update(PYTHONPATH=str(root), PYTHONHASHSEED='0', IN_TEST='1', HF_HUB_OFFLINE='1')
os.environ.update(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='10000')

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbdev.clean import nbdev_clean
from nbdev.config import get_config
from nbdev.process import extract_directives

WIDGET = 'application/vnd.jupyter.widget-view+json'

def skipped(cell, flags):
    "Would nbdev_test pass over this cell?"
    d = extract_directives(nbformat.from_dict(dict(cell)), remove=False) or {}
    return d.get('eval:', [''])[0].lower() == 'false' or bool(flags & d.keys()) or 'nbdev_export'+'(' in cell.source

class Client(NotebookClient):
    "A client that leaves alone the cells in `self.skip`"
    async def async_execute_cell(self, cell, cell_index, **kw):
        return cell if cell_index in self.skip else await super().async_execute_cell(cell, cell_index, **kw)

def chosen(nb, flags, long):
    "The code cells that run and the indices of those that do not"
    code = [(i,cell) for i,cell in enumerate(nb.cells) if cell.cell_type == 'code']
    run = {i: cell for i,cell in code if not skipped(cell, flags) or long and 'eval: false' in cell.source}
    return list(run.values()),{i for i,_ in code} - run.keys()

def forget_widgets(nb, cells):
    "Their random ids are the one thing that differs between two runs"
    nb.metadata.pop('widgets', None)
    for cell in cells:
        for output in cell.outputs: output.get('data', {}).pop(WIDGET, None)

def forget_asides(cells):
    "What hidden cells write beside their output: nobody reads it, and it names folders of that one run"
    for cell in cells:
        if cell.source.startswith('#| hide'): cell.outputs = [o for o in cell.outputs if o.get('name') != 'stderr']

def store(nb, path):
    "Write the notebook in one move, and clean"
    temporary = path.with_name(f'.{path.name}.tmp')
    nbformat.write(nb, temporary)
    os.replace(temporary, path)
    nbdev_clean.__wrapped__(fname=str(path))

def execute(path,          # notebook
            timeout=900,   # seconds for one cell
            widgets=False, # keep the widgets' state, for a page that shows them
            long=False,    # run the cells marked `eval: false` too
           ):
    "Run a notebook from top to bottom and write its outputs into it"
    nb = nbformat.read(path, as_version=4)
    run,skip = chosen(nb, set(get_config(path=path).tst_flags.split()), long)
    for cell in run: cell.update(outputs=[], execution_count=None)
    client = Client(nb, timeout=timeout, kernel_name='python3', coalesce_streams=True, store_widget_state=widgets,
                    resources={'metadata': {'path': str(path.parent)}})
    client.skip = skip
    if long: os.environ['LATENT_STYLE_LONG'] = '1'          # the kernel's extension `latent_style.kept` lets them pass
    client.execute()
    if not widgets: forget_widgets(nb, run)
    forget_asides(run)
    store(nb, path)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', type=Path)
    p.add_argument('--timeout', type=int, default=900, help='seconds for one cell')
    p.add_argument('--widgets', action='store_true', help="keep the widgets' state")
    p.add_argument('--long', action='store_true', help='run the cells marked `eval: false` too')
    a = p.parse_args()
    failed = []
    for path in a.notebooks or notebooks():
        start = time.time()
        try: execute(path.resolve(), a.timeout, a.widgets, a.long)
        except CellExecutionError as e:
            failed.append(path.name)
            print(f'{path.name}: FAILED\n{e}', file=sys.stderr, flush=True)
        else: print(f'{path.name}: {time.time()-start:.1f}s', flush=True)
    if failed: sys.exit(f'{len(failed)} failed and were left as they were: {" ".join(failed)}')

if __name__ == '__main__': main()
