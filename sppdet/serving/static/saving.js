// Saves labels at once, one request at a time, until the server has them.

const REFUSED = new Set([400, 404, 405, 413, 422]); // asking again gives the same answer

export class Saver {
  #revisions = new Map();
  #waiting = new Map(); // photograph -> labels that the server does not have yet
  #running = false;
  #wake = () => {};

  /**
   * @param put (id, content) -> {revision}; throws an ApiError.
   * @param report (state, message): state is "saved", "saving" or "failed".
   * @param ask (id, labels, current) -> "mine" or "theirs", when the file has changed meanwhile.
   */
  constructor(put, report, ask) {
    Object.assign(this, { put, report, ask });
  }

  /** The server has these labels under this revision. */
  loaded(id, revision) {
    this.#revisions.set(id, revision);
  }

  revision(id) {
    return this.#revisions.get(id);
  }

  isWaiting(id) {
    return this.#waiting.has(id);
  }

  get idle() {
    return this.#waiting.size === 0;
  }

  save(id, labels) {
    this.#waiting.delete(id);
    this.#waiting.set(id, labels);
    this.#wake();
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    let failures = 0;
    let refused = null;
    while (this.#waiting.size > 0) {
      const [[id, labels]] = this.#waiting;
      if (failures === 0) this.report("saving", "Saving …");
      try {
        const { revision } = await this.put(id, { revision: this.revision(id), ...labels });
        this.#done(id, labels, revision);
        failures = 0;
        refused = null;
      } catch (error) {
        if (error.status === 409) {
          const answer = await this.ask(id, labels, error.body.current);
          this.loaded(id, error.body.current.revision);
          if (answer === "theirs") this.#waiting.delete(id);
        } else if (REFUSED.has(error.status)) {
          refused = error.message;
          this.#done(id, labels, this.revision(id));
        } else {
          failures += 1;
          this.report("failed", `Not saved: ${error.message} The page tries again.`);
          await this.#pause(Math.min(8, 2 ** (failures - 1)));
        }
      }
    }
    this.#running = false;
    if (refused) this.report("failed", `Not saved: ${refused}`);
    else this.report("saved", "Saved");
  }

  /** Forget labels that are settled, unless newer ones of the same photograph are waiting. */
  #done(id, labels, revision) {
    this.loaded(id, revision);
    if (this.#waiting.get(id) === labels) this.#waiting.delete(id);
  }

  /** Wait some seconds, or until something new is to be saved. */
  #pause(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
