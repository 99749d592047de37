import { render } from "preact";
import { Explorer, LivePage } from "./app";
import { fromRecord, Model } from "./model";
import { Source } from "./source";
import type { PageData } from "./types";

function showReport(data: PageData, place: HTMLElement) {
  const trials = data.trials!.filter((trial) => trial.columns.offered?.length)
    .map((trial, i, all) => fromRecord(trial, i, all.length));
  if (!trials.length) return;
  document.getElementById("explore")!.hidden = false;
  render(<Explorer trials={trials} links={data.links ?? []} />, place);
}

function showLive(token: string, place: HTMLElement) {
  const model = new Model();
  let waiting = false;
  const draw = () => render(<LivePage model={model} connection={source.connection} post={(path, body) => source.post(path, body)} />, place);
  // Many events may come at once, after a reconnect thousands: one drawing a frame.
  const source = new Source(model, token, () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      draw();
    }, 50);
  });
  document.body.classList.add("live");
  draw();
  void source.start();
}

const data: PageData = JSON.parse(document.getElementById("data")!.textContent || "{}");
const place = document.getElementById("app")!;
if (data.trials) showReport(data, place);
else showLive(data.token ?? "", place);
