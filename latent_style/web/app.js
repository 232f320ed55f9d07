// The page: a picture, a desk, and what is painted
import {Painter, fromPixels, toPixels} from './painter.js'

const at = id => document.getElementById(id)
const say = text => { at('said').textContent = text }
const mega = n => `${(n/1e6).toFixed(1)} MB`
const state = {source: null, name: 'sample', painters: {}, ort: {}, busy: false, again: false}

// A manner by its name; where several runs know it, with its method, or with its run where methods are alike
function label(domain, i, runs) {
  const knows = run => run.config.domains.includes(domain) && !run.hidden?.includes(domain)
  const method = run => run.title.split(',')[0], others = runs.filter((run, j) => j !== i && knows(run))
  if (!others.length) return domain
  return `${domain}, ${others.some(run => method(run) === method(runs[i])) ? runs[i].folder : method(runs[i])}`
}

async function start() {
  say('')
  const manifest = state.manifest = await (await fetch('graphs/manifest.json')).json()
  manifest.runs.forEach((run, i) => run.config.domains.forEach(domain => {
    if (run.hidden?.includes(domain)) return
    at('to').add(new Option(label(domain, i, manifest.runs), `${i} ${domain}`))
  }))
  const first = manifest.runs[0], offered = first.config.domains.filter(domain => !first.hidden?.includes(domain))
  if (offered.length) at('to').value = `0 ${offered.at(-1)}`          // as `translate`: the last one
  at('load').textContent = `The first picture loads ${mega(manifest.bytes.first)}, another manner up to ${mega(manifest.bytes.more)} more.`
  // a browser may know WebGPU and have no card for it
  const card = manifest.gpu && WebAssembly.Suspending && await navigator.gpu?.requestAdapter().catch(() => null)
  if (card) {
    at('card').hidden = false
    at('gpu-bytes').textContent = `(loads ${mega(manifest.gpu)} more)`
  }
  if (manifest.sample) await take(await (await fetch(manifest.sample)).blob(), false)
}

// onnxruntime-web, as WebAssembly in one thread, or on the graphics card
async function runtime(gpu) {
  const kind = gpu ? 'jspi' : 'wasm'
  if (!state.ort[kind]) {
    const ort = await import(`./ort/ort.${kind}.js`), part = gpu ? '.jspi' : ''
    ort.env.wasm.numThreads = 1
    const here = name => new URL(`./ort/ort-wasm-simd-threaded${part}.${name}`, location.href).href
    ort.env.wasm.wasmPaths = {mjs: here('js'), wasm: here('wasm')}
    state.ort[kind] = ort
  }
  return state.ort[kind]
}

async function painter(i) {
  const gpu = at('gpu').checked, key = `${i} ${gpu}`, run = state.manifest.runs[i]
  state.painters[key] ??= new Painter(await runtime(gpu), 'graphs', run, run.codec, gpu)
  for (const other of Object.values(state.painters))       // runs of one codec share its graphs
    if (other.gpu === gpu && other.codec === run.codec)
      for (const [file,session] of Object.entries(other.sessions)) if (file.startsWith(run.codec)) state.painters[key].sessions[file] ??= session
  return state.painters[key]
}

// A picture, no larger than was asked for, on the left half of the frame
async function take(blob, paint = true) {
  let bitmap
  try { bitmap = await createImageBitmap(blob, {colorSpaceConversion: 'default', premultiplyAlpha: 'none'}) }
  catch { return say('This is not a picture that the browser can read.') }
  state.blob = blob
  if (blob.name) state.name = blob.name.replace(/\.[^.]*$/, '')
  const most = Number(at('size').value), shrink = Math.min(1, most/Math.max(bitmap.width, bitmap.height))
  const w = Math.max(40, Math.round(bitmap.width*shrink)), h = Math.max(40, Math.round(bitmap.height*shrink))
  for (const id of ['before','after']) Object.assign(at(id), {width: w, height: h})
  const pen = at('before').getContext('2d', {willReadFrequently: true})
  pen.fillStyle = '#fff'
  pen.fillRect(0, 0, w, h)
  pen.imageSmoothingQuality = 'high'
  pen.drawImage(bitmap, 0, 0, w, h)
  at('frame').style.maxWidth = `calc(80vh*${(w/h).toFixed(4)})`        // as wide as there is room for, and not too high
  state.source = fromPixels(pen.getImageData(0, 0, w, h))
  at('after').getContext('2d').drawImage(at('before'), 0, 0)
  at('frame').classList.add('full')
  at('save').hidden = true
  if (paint) await work()
}

async function work() {
  if (!state.source) return say('Choose a picture first.')
  if (state.busy) { state.again = true; return }
  state.busy = at('go').disabled = at('another').disabled = true
  try {
    do {
      state.again = false
      const [i,to] = at('to').value.split(/ (.*)/), brush = await painter(Number(i))
      const how = {to, strength: Number(at('strength').value), seed: Number(at('seed').value), tell: say}
      say('painting')
      await new Promise(resolve => setTimeout(resolve, 30))
      const start = performance.now(), made = await brush.paint(state.source, how), spent = (performance.now()-start)/1000
      at('after').getContext('2d').putImageData(toPixels(made), 0, 0)
      say(`${made.width}×${made.height} in ${spent.toFixed(1)} s`)
      Object.assign(document.body.dataset, {seconds: spent, painted: Number(document.body.dataset.painted ?? 0)+1})
      at('after').toBlob(blob => {
        URL.revokeObjectURL(at('save').href)
        Object.assign(at('save'), {href: URL.createObjectURL(blob), hidden: false, download: `${state.name}_${to}.png`})
      })
    } while (state.again)
  } catch (error) {
    say(`That went wrong: ${error.message}`)
    document.body.dataset.error = error.message
  } finally { state.busy = at('go').disabled = at('another').disabled = false }
}

// The desk
at('go').onclick = work
at('another').onclick = () => { at('seed').value = (Number(at('seed').value)+1) % 10000; work() }
at('to').onchange = at('seed').onchange = () => state.source && work()
at('strength').oninput = () => { at('amount').textContent = at('strength').value }
at('strength').onchange = () => state.source && work()
at('size').onchange = () => state.blob && take(state.blob)
at('file').onchange = event => event.target.files[0] && take(event.target.files[0])
at('desk').onsubmit = event => { event.preventDefault(); work() }
addEventListener('paste', event => { const file = event.clipboardData?.files[0]; if (file) take(file) })
for (const name of ['dragover','dragleave','drop']) addEventListener(name, event => {
  event.preventDefault()
  at('drop').classList.toggle('over', name === 'dragover')
  if (name === 'drop' && event.dataTransfer.files[0]) take(event.dataTransfer.files[0])
})

// The edge between before and after
function slide(x) {
  const box = at('frame').getBoundingClientRect(), share = Math.min(100, Math.max(0, 100*(x-box.left)/box.width))
  at('frame').style.setProperty('--at', `${share}%`)
  at('frame').setAttribute('aria-valuenow', Math.round(share))
}
at('frame').onpointerdown = event => { at('frame').setPointerCapture(event.pointerId); slide(event.clientX) }
at('frame').onpointermove = event => { if (event.buttons) slide(event.clientX) }
at('frame').onkeydown = event => {
  const step = {ArrowLeft: -5, ArrowRight: 5}[event.key], box = at('frame').getBoundingClientRect()
  if (step) slide(box.left+box.width*(Number(at('frame').getAttribute('aria-valuenow'))+step)/100)
}

start().catch(error => say(`This page cannot start: ${error.message}`))
