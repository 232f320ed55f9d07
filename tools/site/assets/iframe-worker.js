// A page that was opened from the disk may start no worker, and the search lives in one. Here a frame takes its place:
// the same script runs in it, and messages go to and fro as a worker's would.
if (location.protocol === "file:" && !("IFrameWorker" in window)) {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      this.onmessage = null
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.documentElement.appendChild(this.frame)
      const inside = this.frame.contentWindow, page = inside.document
      inside.postMessage = data => {
        setTimeout(() => {
          const event = new MessageEvent("message", { data })
          if (this.onmessage) this.onmessage(event)
          this.dispatchEvent(event)
        })
      }
      inside.importScripts = (...urls) => urls.reduce((before, src) => before.then(() => new Promise((done, failed) => {
        const script = page.createElement("script")
        script.src = src
        script.onload = done
        script.onerror = failed
        page.body.appendChild(script)
      })), Promise.resolve())
      const script = page.createElement("script")
      script.src = url
      script.onload = () => {
        this.waiting.splice(0).forEach(data => this.tell(data))
        this.waiting = null
      }
      page.body.appendChild(script)
    }
    // One message, one turn: what the script does with the first is done before the second arrives
    tell(data) { setTimeout(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))) }
    postMessage(data) { this.waiting ? this.waiting.push(data) : this.tell(data) }
    terminate() { this.frame.remove() }
  }
  window.Worker = window.IFrameWorker
}
