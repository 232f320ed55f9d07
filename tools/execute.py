"""Run notebooks in a fresh kernel and store their outputs

    python tools/execute.py                     all notebooks
    python tools/execute.py nbs/00_data.ipynb   this one
    python tools/execute.py --long nbs/...      also the cells marked `eval: false`: the real runs, minutes to hours

The cells that nbdev_test skips (`eval: false`, and the flags named in settings.ini) are skipped here too and keep
the outputs they have, so a long run's results survive. A notebook with a failing cell is left as it was."""
import argparse, os, sys, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
os.environ.update(PYTHONPATH=str(root), PYTHONHASHSEED='0', IN_TEST='1', HF_HUB_OFFLINE='1', OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='10000')

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

def execute(f,            # notebook
            timeout=900,  # seconds for one cell
            widgets=False,# keep the widgets' state, for a page that shows them
            long=False    # run the cells marked `eval: false` too
           ):
    "Run `f` from top to bottom and write its outputs into it"
    nb,flags = nbformat.read(f, as_version=4),set(get_config(path=f).tst_flags.split())
    code = [(i,c) for i,c in enumerate(nb.cells) if c.cell_type == 'code']
    run = [(i,c) for i,c in code if not skipped(c, flags) or long and 'eval: false' in c.source]
    for _,c in run: c.outputs,c.execution_count = [],None
    client = Client(nb, timeout=timeout, kernel_name='python3', coalesce_streams=True, store_widget_state=widgets,
                    resources={'metadata': {'path': str(f.parent)}})
    client.skip = {i for i,_ in code} - {i for i,_ in run}
    client.execute()
    if not widgets:  # their random ids are the one thing that differs between two runs
        nb.metadata.pop('widgets', None)
        for _,c in run:
            for o in c.outputs: o.get('data', {}).pop(WIDGET, None)
    tmp = f.with_name(f'.{f.name}.tmp')
    nbformat.write(nb, tmp)
    os.replace(tmp, f)
    nbdev_clean.__wrapped__(fname=str(f))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', type=Path)
    p.add_argument('--timeout', type=int, default=900, help='seconds for one cell')
    p.add_argument('--widgets', action='store_true', help="keep the widgets' state")
    p.add_argument('--long', action='store_true', help='run the cells marked `eval: false` too')
    a,failed = p.parse_args(),[]
    for f in a.notebooks or sorted(p for p in (root/'nbs').rglob('*.ipynb') if not any(q[0] in '._' for q in p.relative_to(root/'nbs').parts)):
        t = time.time()
        try: execute(f.resolve(), a.timeout, a.widgets, a.long)
        except CellExecutionError as e:
            failed.append(f.name)
            print(f'{f.name}: FAILED\n{e}', file=sys.stderr, flush=True)
        else: print(f'{f.name}: {time.time()-t:.1f}s', flush=True)
    if failed: sys.exit(f'{len(failed)} failed and were left as they were: {" ".join(failed)}')

if __name__ == '__main__': main()
