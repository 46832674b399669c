"use strict";

const at = (id) => document.getElementById(id);

function fill(select, entries) {
  for (const [value, label] of entries) select.add(new Option(label, value));
}

async function start() {
  const choices = await (await fetch("choices")).json();
  fill(at("model"), Object.entries(choices.models));
  fill(at("voice"), choices.voices.map((name) => [name, name]));
  at("seed").value = choices.seed;
  at("text").maxLength = choices.characters_max;
  at("voice").addEventListener("change", showPrompt);
  at("recording").addEventListener("change", showPrompt);
  at("form").addEventListener("submit", speak);
  showPrompt();
}

/* The player of the voice that would be taken now; a recording goes before the list. */
async function showPrompt() {
  const [file] = at("recording").files;
  at("voice").disabled = Boolean(file);
  const source = file ? await readDataUrl(file) : "voices/" + encodeURIComponent(at("voice").value);
  at("prompt").hidden = !file && !at("voice").value;
  if (!at("prompt").hidden) at("prompt").src = source;
}

function readDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function speak(event) {
  event.preventDefault();
  at("error").hidden = true;
  at("speak").disabled = true;
  at("status").textContent = "speaking …";
  try {
    show(await ask());
  } catch (error) {
    at("error").textContent = error.message;
    at("error").hidden = false;
  } finally {
    at("speak").disabled = false;
    at("status").textContent = "";
  }
}

async function ask() {
  const [file] = at("recording").files;
  const wish = {
    text: at("text").value, model: at("model").value, seed: Number(at("seed").value),
    voice: file ? "" : at("voice").value, prompt: file ? (await readDataUrl(file)).split(",")[1] : "",
  };
  const response = await fetch("speech", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wish),
  });
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error);
  const voice = file ? file.name : wish.voice;
  return { ...answer, title: `${at("model").selectedOptions[0].text}, ${voice}, seed ${wish.seed}` };
}

function show(answer) {
  const article = document.createElement("article");
  const audio = document.createElement("audio");
  audio.controls = true;
  audio.setAttribute("aria-label", answer.title);
  audio.src = "data:audio/wav;base64," + answer.audio;
  const told = [`${answer.duration_seconds.toFixed(2)} s, made in ${answer.took_seconds.toFixed(2)} s`];
  if (answer.cut) told.push(`${answer.cut} part(s) did not end and were cut`);
  if (answer.silent) told.push(`nothing was drawn for ${answer.silent} part(s): try another seed`);
  article.append(line(answer.title), audio, line(answer.text_read, "am"), line(told.join("; "), "", "details"));
  at("results").prepend(article);
}

function line(text, language = "", kind = "") {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  if (language) paragraph.lang = language;
  paragraph.className = kind;
  return paragraph;
}

start();
