// Draws the sphere on a canvas and moves the timeline cursor to the selected window.
// Gradio runs this as a function body with the arguments element, props and watch.

const AXES = ["valence", "arousal", "dominance"];
const HOME = { yaw: -0.55, pitch: 0.38 };
const FAR = 5; // distance of the eye, in radii
const RADIAN = Math.PI / 180;
const PHONE = 768; // width in pixels up to which the page has one column, as in page.css
const FEW = 30; // windows up to which all are joined by a line
const TRAIL = 10; // otherwise: windows before the selected one that are joined
let view = { ...HOME };
let chosen = 0;
let timer = null;
let part = {};

// Valence to the right, arousal up, dominance towards the reader.
function turned([x, y, z]) {
  const side = x * Math.cos(view.yaw) + z * Math.sin(view.yaw);
  const deep = z * Math.cos(view.yaw) - x * Math.sin(view.yaw);
  const near = y * Math.sin(view.pitch) + deep * Math.cos(view.pitch);
  return [side, y * Math.cos(view.pitch) - deep * Math.sin(view.pitch), near];
}

function onSphere(polar, azimuth) {
  const flat = Math.sin(polar * RADIAN);
  return [
    Math.cos(polar * RADIAN),
    flat * Math.cos(azimuth * RADIAN),
    flat * Math.sin(azimuth * RADIAN),
  ];
}

// Returns the cell of the angle grid that contains a point: [polar, azimuth] of its lower bounds.
function cell([valence, arousal, dominance], step) {
  const polar = Math.atan2(Math.hypot(arousal, dominance), valence) / RADIAN;
  const azimuth = (Math.atan2(dominance, arousal) / RADIAN + 360) % 360;
  const last = Math.max(0, 180 / step - 1);
  return [Math.min(Math.floor(polar / step), last) * step, Math.floor(azimuth / step) * step];
}

function borders(step) {
  const lines = [];
  for (let polar = step; polar < 180; polar += step) {
    lines.push(range(0, 360, 6).map((azimuth) => onSphere(polar, azimuth)));
  }
  for (let azimuth = 0; azimuth < 360; azimuth += step) {
    lines.push(range(0, 180, 6).map((polar) => onSphere(polar, azimuth)));
  }
  return lines;
}

function range(first, last, step) {
  const values = [];
  for (let value = first; value < last; value += step) values.push(value);
  return [...values, last];
}

function draw() {
  const scene = props.value && props.value.scene;
  const canvas = part.canvas;
  if (!scene || !canvas || !canvas.clientWidth) return;
  const dense = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  const pen = canvas.getContext("2d");
  pen.scale(dense, dense);
  const look = getComputedStyle(canvas);
  const colour = (name) => look.getPropertyValue("--em-" + name).trim();
  const radius = Math.min(width, height) * 0.355;
  const place = (point) => {
    const [x, y, z] = turned(point);
    const scale = (radius * FAR) / (FAR - z);
    return [width / 2 + x * scale, height / 2 - y * scale, z];
  };
  const stroke = (points, { ink, thick = 1, alpha = 1, dash = [] }) => {
    pen.globalAlpha = alpha;
    pen.strokeStyle = ink;
    pen.lineWidth = thick;
    pen.setLineDash(dash);
    pen.beginPath();
    points.forEach((point, index) => {
      const [x, y] = place(point);
      if (index) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    });
    pen.stroke();
    pen.globalAlpha = 1;
    pen.setLineDash([]);
  };
  // Writes a label unless it would overlap an earlier one.
  const taken = [];
  const reserve = (x, y, half, tall) => {
    const box = [x - half, y - tall, x + half, y + tall];
    const free = taken.every((b) => b[2] <= box[0] || box[2] <= b[0] || b[3] <= box[1] || box[3] <= b[1]);
    if (free) taken.push(box);
    return free;
  };
  const write = (text, point, ink, size) => {
    const [x, y] = place(point);
    pen.font = `${size}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const half = pen.measureText(text).width / 2 + 3;
    const inside = Math.min(Math.max(x, half), width - half);
    if (!reserve(inside, y, half, size / 2 + 2)) return;
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    pen.strokeStyle = look.getPropertyValue("--body-background-fill").trim() || "#fff";
    pen.globalAlpha = 0.8;
    pen.strokeText(text, inside, y);
    pen.globalAlpha = 1;
    pen.fillStyle = ink;
    pen.fillText(text, inside, y);
  };

  const windows = scene.windows;
  const several = windows.length > 1;
  const point = several ? windows[chosen].vad : scene.overall.vad;
  const ink = colour("ink");
  const soft = colour("soft");
  const accent = colour("accent");

  const silhouette = (radius * FAR) / Math.sqrt(FAR * FAR - 1);
  pen.beginPath();
  pen.arc(width / 2, height / 2, silhouette, 0, 2 * Math.PI);
  pen.fillStyle = colour("ball");
  pen.fill();
  pen.strokeStyle = soft;
  pen.stroke();

  // Line segments hidden by the ball are drawn in the background.
  const front = ([, , z]) => z > 1 / FAR;
  const lines = borders(scene.step);
  const pieces = (back) => {
    for (const line of lines) {
      for (let i = 1; i < line.length; i += 1) {
        const pair = [line[i - 1], line[i]];
        if (front(turned(pair[1])) !== back) {
          stroke(pair, { ink: soft, alpha: back ? 0.22 : 0.6 });
        }
      }
    }
  };
  pieces(true);
  if (Math.hypot(...point) >= scene.centre) patch(pen, place, cell(point, scene.step), scene.step, accent);

  AXES.forEach((name, index) => {
    const end = [0, 0, 0];
    end[index] = 1.12;
    stroke([end.map((x) => -x), end], { ink: colour(name), thick: 1.8, alpha: 0.85 });
  });
  if (scene.centre > 0) {
    pen.beginPath();
    pen.arc(width / 2, height / 2, radius * scene.centre, 0, 2 * Math.PI);
    pen.strokeStyle = soft;
    pen.setLineDash([3, 3]);
    pen.stroke();
    pen.setLineDash([]);
  }

  // Show the position of a point by a path from the centre along V, D and A.
  stroke([[0, 0, 0], [point[0], 0, 0], [point[0], 0, point[2]], point], { ink, alpha: 0.55, dash: [3, 3] });
  stroke([[0, 0, 0], point], { ink: accent, thick: 2 });
  if (several) {
    // A line through hundreds of windows would be a tangle.
    const few = windows.length <= FEW;
    const first = few ? 0 : Math.max(0, chosen - TRAIL);
    const last = few ? windows.length - 1 : chosen;
    stroke(windows.slice(first, last + 1).map((one) => one.vad), { ink: accent, alpha: 0.45, thick: 1.2 });
    windows.forEach((one, index) => {
      const [x, y] = place(one.vad);
      const recent = index >= first && index <= chosen;
      pen.globalAlpha = recent ? 0.9 : few ? 0.35 : 0.2;
      dot(pen, x, y, recent || few ? 2.6 : 2, accent);
      pen.globalAlpha = 1;
    });
    const [x, y] = place(point);
    dot(pen, x, y, 7, accent);
    pen.beginPath();
    pen.arc(x, y, 10, 0, 2 * Math.PI);
    pen.strokeStyle = ink;
    pen.lineWidth = 1.5;
    pen.stroke();
  }
  diamond(pen, ...place(scene.overall.vad), ink, colour("ball"));
  pieces(false);

  const gap = 1.27;
  const ends = [["valence", [gap, 0, 0]], ["arousal", [0, gap, 0]], ["dominance", [0, 0, gap]]];
  ends.sort(([, one], [, other]) => turned(other)[2] - turned(one)[2]); // the nearest first
  ends.forEach(([name, at]) => write("+ " + name, at, colour(name), 13));
  ends.forEach(([name, at]) => write("\u2212", at.map((x) => -x * 0.95), colour(name), 15));
  for (const vad of [point, scene.overall.vad]) reserve(...place(vad).slice(0, 2), 11, 11);
  const distance = (at) => Math.hypot(...at.map((x, index) => x - point[index]));
  const words = Object.entries(scene.words);
  words.sort(([, one], [, other]) => distance(one) - distance(other));
  words.forEach(([word, at]) => write(word, at, soft, 11));
  const text = several ? `Recording: ${scene.overall.text}. Selected window: ${windows[chosen].text}` : scene.overall.text;
  canvas.setAttribute("aria-label", `The sphere of valence, arousal and dominance. ${text}`);
}

function patch(pen, place, [polar, azimuth], step, ink) {
  const top = range(azimuth, azimuth + step, 3).map((angle) => onSphere(polar, angle));
  const low = range(azimuth, azimuth + step, 3).map((angle) => onSphere(polar + step, angle));
  const left = range(polar, polar + step, 3).map((angle) => onSphere(angle, azimuth));
  const right = range(polar, polar + step, 3).map((angle) => onSphere(angle, azimuth + step));
  pen.beginPath();
  [...top, ...right, ...low.reverse(), ...left.reverse()].forEach((point, index) => {
    const [x, y] = place(point);
    if (index) pen.lineTo(x, y);
    else pen.moveTo(x, y);
  });
  pen.closePath();
  pen.fillStyle = ink;
  pen.globalAlpha = 0.16;
  pen.fill();
  pen.globalAlpha = 1;
}

function dot(pen, x, y, size, ink) {
  pen.beginPath();
  pen.arc(x, y, size, 0, 2 * Math.PI);
  pen.fillStyle = ink;
  pen.fill();
}

function diamond(pen, x, y, z, ink, paper) {
  pen.beginPath();
  pen.moveTo(x, y - 8);
  pen.lineTo(x + 8, y);
  pen.lineTo(x, y + 8);
  pen.lineTo(x - 8, y);
  pen.closePath();
  pen.fillStyle = ink;
  pen.fill();
  pen.strokeStyle = paper;
  pen.lineWidth = 1.5;
  pen.stroke();
}

function choose(index) {
  const scene = props.value.scene;
  chosen = Math.min(Math.max(index, 0), scene.windows.length - 1);
  const one = scene.windows[chosen];
  if (part.range) {
    part.range.value = String(chosen);
    part.range.setAttribute("aria-valuetext", one.text);
    part.now.textContent = one.text;
    part.cursor.hidden = false;
    part.cursor.style.left = `${(100 * one.start) / scene.duration}%`;
    part.cursor.style.width = `${(100 * (one.end - one.start)) / scene.duration}%`;
  }
  draw();
}

// Returns the window whose centre is nearest to a time.
function at(seconds) {
  const gaps = props.value.scene.windows.map((one) => Math.abs((one.start + one.end) / 2 - seconds));
  return gaps.indexOf(Math.min(...gaps));
}

function stop() {
  clearInterval(timer);
  timer = null;
  if (part.play) part.play.textContent = "Play";
}

function play() {
  if (timer) return stop();
  const windows = props.value.scene.windows;
  const pause = Math.min(1000, Math.max(60, 20000 / windows.length));
  if (chosen === windows.length - 1) choose(0);
  part.play.textContent = "Stop";
  timer = setInterval(() => {
    if (chosen === windows.length - 1) stop();
    else choose(chosen + 1);
  }, pause);
}

function turn(event) {
  const steps = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.12], ArrowDown: [0, -0.12] };
  if (event.key === "Home") view = { ...HOME };
  else if (steps[event.key]) rotate(...steps[event.key]);
  else return;
  event.preventDefault();
  draw();
}

function rotate(yaw, pitch) {
  view.yaw += yaw;
  view.pitch = Math.min(Math.max(view.pitch + pitch, -Math.PI / 2), Math.PI / 2);
}

function drag(event) {
  const last = { x: event.clientX, y: event.clientY };
  const canvas = part.canvas;
  canvas.setPointerCapture(event.pointerId);
  canvas.onpointermove = (now) => {
    rotate((now.clientX - last.x) / 120, (now.clientY - last.y) / 120);
    last.x = now.clientX;
    last.y = now.clientY;
    draw();
  };
  canvas.onpointerup = canvas.onpointercancel = () => (canvas.onpointermove = null);
}

const sizes = new ResizeObserver(draw);

function show() {
  stop();
  sizes.disconnect();
  const find = (name) => element.querySelector(".em-" + name);
  part = Object.fromEntries(
    ["sphere", "range", "now", "cursor", "play", "plot"].map((name) => [name, find(name)]),
  );
  part.canvas = part.sphere;
  if (!props.value || !props.value.scene || !part.canvas) return;
  part.canvas.addEventListener("keydown", turn);
  part.canvas.addEventListener("pointerdown", drag);
  sizes.observe(part.canvas);
  if (part.range) {
    part.range.addEventListener("input", () => choose(Number(part.range.value)));
    part.play.addEventListener("click", play);
    part.plot.addEventListener("click", (event) => {
      const box = part.plot.getBoundingClientRect();
      choose(at(((event.clientX - box.left) / box.width) * props.value.scene.duration));
    });
  }
  choose(0);
  // On a phone, heading and player fill the screen: show the values of a new recording.
  if (window.innerWidth <= PHONE) element.scrollIntoView();
  const player = document.querySelector("#em-audio");
  if (player) following.observe(player, { subtree: true, childList: true, characterData: true });
}

// The point follows the time displayed by the player, whose audio element is not accessible.
let shownTime = "0:00";
function follow() {
  const clock = document.querySelector("#em-audio .timestamps time");
  const text = clock ? clock.textContent : "0:00";
  if (text === shownTime) return;
  shownTime = text;
  if (!part.range) return;
  stop();
  choose(at(text.split(":").reduce((total, piece) => 60 * total + Number(piece), 0)));
}
const following = new MutationObserver(follow);
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
watch("value", show);
show();
