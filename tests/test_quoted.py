"Every command that the pages and the README quote can be typed: its verb knows each of its options"
import contextlib, io, json, re, shlex, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import project

LINE = re.compile(r'(?m)^[ \t]*(?:\$ )?(latent_style [a-z].*)$')
BLOCK,INLINE = re.compile(r'```(?:sh|bash|console)?\n(.*?)```', re.S),re.compile(r'`(latent_style [a-z][^`\n]*)`')
PART = re.compile('…|VERB|METHOD')         # a line that is not whole

def prose(file):
    if file.suffix == '.md': return [file.read_text(encoding='utf-8')]
    cells = json.loads(file.read_text(encoding='utf-8'))['cells']
    return [''.join(cell['source']) for cell in cells if cell['cell_type'] == 'markdown']

def commands(text):
    "Command lines in blocks, and those in a line of text that have words after the verb"
    lines = [line for block in BLOCK.findall(text) for line in LINE.findall(block.replace('\\\n', ' '))]
    return lines + [line for line in INLINE.findall(BLOCK.sub('', text)) if len(line.split()) > 2]

QUOTED = sorted({(file.name, line) for file in [*project.notebooks(), ROOT/'README.md']
                 for text in prose(file) for line in commands(text) if not PART.search(line)})

def parse(line):
    "The verb of a command line, and the words after it"
    from latent_style import cli
    words = re.split(r'\s[|>]\s', line)[0]
    verb,*rest = shlex.split(words, comments=True)[1:]
    assert verb in cli.VERBS, f'{line}: no verb {verb}'
    return verb,rest

def test_commands_are_found():
    assert len(QUOTED) > 40 and ('try_it.ipynb', 'latent_style export runs/monet --to web --out page') in QUOTED
    assert commands('type `latent_style demo` or `latent_style info RUN`') == ['latent_style info RUN']

def options_of(verb, rest):
    "Options that a verb's help lists for these words"
    from latent_style import cli
    said = io.StringIO()
    method = [w for w in rest[:1] if verb in ('train','sweep') and w[:1] != '-']
    run = [w for w in rest[:1] if verb == 'translate' and w.startswith('demo:')]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said): cli.main([verb, *method, *run, '--help'])
    return set(re.findall(r'--([\w-]+)', said.getvalue()))

@pytest.mark.parametrize('page,line', QUOTED)
def test_a_quoted_command_is_known(page, line):
    verb,rest = parse(line)
    asked = {w[2:].partition('=')[0].replace('-', '_') for w in rest if re.match('--[a-z]', w)}
    known = {name.replace('-', '_') for name in options_of(verb, rest)}
    strange = {name for name in asked-known if name.removeprefix('no_') not in known}
    assert not strange, f'{page}: {line}: {verb} knows no {", ".join(strange)}'
