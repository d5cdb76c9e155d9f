// Plays the stream with each player that the address asks for, as somebody who pauses and seeks would, and tells how it
// went. Players report to collectors of another origin, configured as docs/cmcd.md shows.
"use strict";

const EVENTS = ["abs", "abe", "ae", "as", "b", "bc", "c", "ce", "e", "h", "m", "pc", "pe", "pr", "ps", "rr", "sk", "t", "um"];
const KEYS = ["bl", "br", "cid", "d", "dl", "e", "ec", "msd", "mtp", "ot", "pr", "rc", "sf", "sid", "sn", "st", "sta", "su",
  "tb", "ts", "ttfb", "ttlb", "url", "v"];
const PATIENCE_MS = 25_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const stream = (name) => new URL(`/stream/${name}`, location.href).href;

function target(url) {
  return { enabled: true, url, events: EVENTS, interval: 1, batchSize: 1 };
}

const PLAYERS = {
  "hls.js": async (video, url) => {
    const hls = new Hls({ cmcd: { version: 2, contentId: "film", includeKeys: [], eventTargets: [target(url)] } });
    hls.loadSource(stream("film.m3u8"));
    hls.attachMedia(video);
    return () => hls.destroy();
  },
  "dash.js": async (video, url) => {
    const player = dashjs.MediaPlayer().create();
    player.updateSettings({
      streaming: {
        cmcd: {
          enabled: true, version: 2, cid: "film",
          eventTargets: [{ ...target(url), enabledKeys: KEYS }],
        },
      },
    });
    player.initialize(video, stream("film.mpd"), false);
    return () => player.destroy();
  },
  "shaka": async (video, url) => {
    const player = new shaka.Player();
    await player.attach(video);
    player.configure({ cmcd: { enabled: true, version: 2, contentId: "film", eventTargets: [{ ...target(url), includeKeys: [] }] } });
    await player.load(stream("film.mpd"));
    return () => player.destroy();
  },
};

async function watch(name, url) {
  const video = document.body.appendChild(document.createElement("video"));
  video.muted = true;
  const leave = await PLAYERS[name](video, url);
  await video.play();
  await pause(2_000);
  video.pause();
  await pause(500);
  await video.play();
  await pause(1_000);
  video.currentTime = 9;
  await new Promise((resolve) => video.addEventListener("ended", resolve));
  await pause(500);
  const at_s = video.currentTime;
  await leave();
  return { name, at_s };
}

async function main() {
  performance.setResourceTimingBufferSize(5_000);
  const asked = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  const late = pause(PATIENCE_MS).then(() => { throw new Error("did not end in time"); });
  const watched = asked.map(({ name, url }) =>
    Promise.race([watch(name, url), late]).catch((error) => ({ name, error: String(error) })));
  const results = await Promise.all(watched);
  await pause(1_000);
  for (const result of results) {
    const { url } = asked.find(({ name }) => name === result.name);
    const posted = performance.getEntriesByType("resource").filter((entry) => entry.name === url);
    result.statuses = posted.map((entry) => entry.responseStatus);
  }
  await fetch("/done", { method: "POST", body: JSON.stringify(results) });
}

window.addEventListener("load", main);
