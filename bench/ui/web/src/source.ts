// The live page's connection: the state, the events with the browser's own reconnecting, and the commands.
import type { Model } from "./model";

export type Connection = "connecting" | "live" | "lost";

const kEvents = ["state", "trial", "second", "phase", "fault", "part", "note", "verdict"];

export class Source {
  connection: Connection = "connecting";
  private events: EventSource | null = null;

  constructor(private readonly model: Model, private readonly token: string, private readonly changed: () => void) {}

  async start() {
    try {
      await this.readState();
    } catch {
      this.set("lost");
      setTimeout(() => this.start(), 1000);
      return;
    }
    this.open();
  }

  private async readState() {
    const answer = await fetch("/api/state", { cache: "no-store" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    this.model.load(await answer.json());
  }

  private open() {
    const events = (this.events = new EventSource("/events"));
    events.onopen = () => this.set("live");
    events.onerror = () => {
      this.set("lost");
      // The browser tries again by itself, but not after an answer that is an error.
      if (events.readyState === EventSource.CLOSED) setTimeout(() => this.start(), 2000);
    };
    for (const type of kEvents) {
      events.addEventListener(type, (event) => {
        const { data, lastEventId } = event as MessageEvent<string>;
        this.model.apply(type, JSON.parse(data), Number(lastEventId.split("-")[1] ?? 0));
        this.changed();
      });
    }
    // What was missed is gone: everything from the beginning, with the oldest that is left.
    events.addEventListener("reset", () => {
      this.events?.close();
      void this.start();
    });
  }

  private set(connection: Connection) {
    this.connection = connection;
    this.changed();
  }

  // The words of an error are for the person who asked.
  async post(path: string, body: unknown): Promise<string> {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Lab-Token": this.token },
        body: JSON.stringify(body),
      });
      if (answer.ok) return "";
      const problem = await answer.json().catch(() => ({}));
      return problem.detail ?? `the server answered ${answer.status}`;
    } catch {
      return "the lab does not answer";
    }
  }
}
