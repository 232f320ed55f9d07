"What pip reads: everything about the project stands in settings.ini"
from configparser import ConfigParser
from pathlib import Path
import re, setuptools

here = Path(__file__).resolve().parent
config = ConfigParser(delimiters=['='])
config.read(here/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']
name = cfg['lib_name']

def words(key):
    "A setting that is a list"
    return cfg.get(key, '').split()

PYTHONS = '3.11 3.12 3.13 3.14'.split()
EXTRAS = 'sd eval lab film flow onnx share metrics app track'.split()
APART = 'app', 'track'           # not in `all`: Gradio asks for an older Pillow, and each tracker is a world of its own

def extras():
    "Every extra by its own name, `all` of them but two in one, and what the tests need with them"
    each = {extra: words(f'{extra}_requirements') for extra in EXTRAS}
    together = sorted(set(sum((v for k,v in each.items() if k not in APART), [])))
    docs = words('docs_requirements')
    return {**each, 'all': together, 'docs': docs, 'dev': together+docs+words('dev_requirements')}

def front_page():
    "README.md with addresses in place of paths: PyPI shows it without the files beside it"
    text = (here/'README.md').read_text(encoding='utf-8')
    pictures = re.sub(r'(!\[[^]]*\]\(|src=")(?!\w+:|#)', rf'\g<1>{cfg["git_url"]}/raw/{cfg["branch"]}/', text)
    return re.sub(r'(\]\()(?!\w+:|#)', rf'\g<1>{cfg["git_url"]}/blob/{cfg["branch"]}/', pictures)

setuptools.setup(
    name=name,
    version=cfg['version'],
    description=cfg['description'],
    keywords=words('keywords'),
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    license='Apache-2.0',
    classifiers=[f'Programming Language :: Python :: {python}' for python in PYTHONS],
    python_requires='>='+cfg['min_python'],
    packages=setuptools.find_packages(include=[name, f'{name}.*']),
    include_package_data=False,         # `package_data` names what belongs in, beside the modules
    install_requires=words('requirements'),
    extras_require=extras(),
    long_description=front_page(),
    long_description_content_type='text/markdown',
    zip_safe=False,
    package_data={name: ['weights/**/*','runs/**/*','web/*']},
    entry_points={
        'console_scripts': words('console_scripts'),
        'nbdev': [f'{name}={name}._modidx:d'],
    },
)
