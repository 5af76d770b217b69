// The camera of this device: a live picture, one photo of it, and what stands in the way.
import { asBlob } from "./photo.js";
import { button, dialog, make } from "./dom.js";
import { t } from "./strings.js";

const WHY = { NotAllowedError: "cameraDenied", NotFoundError: "cameraNone", OverconstrainedError: "cameraNone", NotReadableError: "cameraTaken" };

/// Opens the camera; `take` gets the photo as a file.
export async function openCamera(take) {
  const video = make("video", { playsinline: true, muted: true, hidden: true, "aria-label": t("cameraTitle") });
  const said = make("p", { role: "status" }, t("cameraAsk"));
  const shoot = button(t("takePhoto"), () => photographed(), "button", { disabled: true });
  const box = dialog(t("cameraTitle"), said, video,
    make("div", { class: "row" }, button(t("close"), () => box.close()), shoot));
  box.classList.add("camera");
  let stream = null;
  const stop = () => stream?.getTracks().forEach((track) => track.stop());
  box.addEventListener("close", stop);
  if (!navigator.mediaDevices) {
    said.textContent = t("cameraInsecure");
    shoot.replaceWith(...ofDevice((photo) => { box.close(); take(photo); }));
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
  } catch (error) {
    said.textContent = t(WHY[error.name] ?? "cameraDenied");
    return;
  }
  // Whoever closed the box before answering the browser wants no camera.
  if (!box.open) { stop(); return; }
  video.srcObject = stream;
  video.hidden = false;
  await video.play();
  said.textContent = t("cameraReady");
  shoot.disabled = false;
  shoot.focus();

  async function photographed() {
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await asBlob(canvas, "image/jpeg");
    box.close();
    take(new File([blob], "camera.jpg", { type: "image/jpeg" }));
  }
}

/// What a phone opens its own camera for; elsewhere it chooses a file.
function ofDevice(take) {
  const file = make("input", { id: "capture", type: "file", class: "unseen", accept: "image/*", capture: "user", onchange: () => {
    if (file.files.length > 0) take(file.files[0]);
  } });
  return [file, make("label", { for: "capture", class: "button" }, t("ownCamera"))];
}
