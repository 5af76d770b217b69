// The page's words, one row a text. `{x}` is filled in; a list has the forms of a plural.

const LANGUAGE = "doppel-language";
const TABLE = {
  slogan: ["Give it a photo. It finds who looks alike.", "Дайте фото — найдём, кто похож."],
  skip: ["Skip to content", "К содержанию"],
  look: ["Look-alikes", "Двойники"],
  browse: ["Collections", "Коллекции"],
  console: ["Console", "Управление"],
  language: ["Русский", "English"],
  yourPhoto: ["Your photo", "Ваше фото"],
  choose: ["Choose a photo", "Выберите фото"],
  orDrop: ["or drop one here, or paste it", "или перетащите сюда, или вставьте"],
  kinds: ["JPEG, PNG, WebP, GIF, BMP or TIFF", "JPEG, PNG, WebP, GIF, BMP или TIFF"],
  another: ["Another photo", "Другое фото"],
  useCamera: ["Use the camera", "Камера"],
  promise: ["Your photo is not kept. It is compared, then forgotten.", "Ваше фото не сохраняется: сравнили и забыли."],
  examples: ["No photo at hand? Try one of these", "Нет фото? Попробуйте эти"],
  searchIn: ["Search in", "Искать в"],
  howMany: ["People to show", "Сколько людей"],
  start: ["Your look-alikes appear here.", "Здесь появятся ваши двойники."],
  uploading: ["Sending your photo… {x} %", "Отправляем фото… {x} %"],
  searching: ["Looking for faces and look-alikes…", "Ищем лица и похожих…"],
  waiting: ["The server is busy; next try in {x} s…", "Сервер занят; повтор через {x} с…"],
  facesFound: [["One face found", "{x} faces found: pick one"], ["Найдено одно лицо", "Найдено {x} лица: выберите", "Найдено {x} лиц: выберите"]],
  faceOf: ["Face {x} of {y}", "Лицо {x} из {y}"],
  people: [["{x} person, best first", "{x} people, best first"], ["{x} человек, самые похожие сначала", "{x} человека, самые похожие сначала", "{x} человек, самые похожие сначала"]],
  nobody: ["Nobody in this collection yet.", "В этой коллекции пока никого нет."],
  alike: ["{x} % alike", "сходство {x} %"],
  rarer: ["More alike than {x} % of strangers", "Больше, чем у {x} % незнакомых людей"],
  raw: ["Cosine similarity {x} ({y}); 100 % is the same picture", "Косинусное сходство {x} ({y}); 100 % — та же картинка"],
  morePhotos: [["{x} more photo", "{x} more photos"], ["ещё {x} фото"]],
  like: ["More like this", "Похожие на него"],
  compare: ["Compare", "Сравнить"],
  share: ["Share the result", "Поделиться"],
  download: ["Download", "Скачать"],
  close: ["Close", "Закрыть"],
  yours: ["Your face", "Ваше лицо"],
  unnamed: ["Unnamed", "Без имени"],
  flaws: ["This face is {x}, so take the result with a pinch of salt.", "Это лицо {x}: результат приблизительный."],
  small: ["small", "маленькое"], blurred: ["blurred", "нечёткое"], unsure: ["hard to make out", "плохо различимо"], turned: ["turned away", "повёрнуто"],
  oneAtATime: ["One photo at a time: the first was taken, the other {x} were left out.", "По одному фото: взято первое, остальные ({x}) пропущены."],
  cameraTitle: ["Camera", "Камера"],
  takePhoto: ["Take the photo", "Сфотографировать"],
  cameraAsk: ["Allow the camera when the browser asks.", "Разрешите камеру, когда спросит браузер."],
  cameraReady: ["Look into the camera.", "Посмотрите в камеру."],
  cameraDenied: ["The camera is not allowed. Allow it in the browser's settings for this page, then try again.", "Камера запрещена. Разрешите её для этой страницы и повторите."],
  cameraNone: ["No camera was found on this device.", "На этом устройстве нет камеры."],
  cameraTaken: ["The camera is in use by another program.", "Камера занята другой программой."],
  cameraInsecure: ["Browsers give the camera only to pages over HTTPS or on this computer. Choose a photo instead.", "Браузер даёт камеру только по HTTPS или на этом компьютере. Выберите фото."],
  silent: ["The server does not answer", "Сервер не отвечает"],
  silentTip: ["Is it still running? Try again in a moment.", "Запущен ли он? Повторите чуть позже."],
  offline: ["You are offline", "Нет соединения"],
  offlineTip: ["Connect to the network, then try again.", "Подключитесь к сети и повторите."],
  needsKey: ["An API key is needed", "Нужен ключ API"],
  needsKeyTip: ["Whoever runs this server has it.", "Он есть у владельца сервера."],
  wrongKey: ["This is not the right key", "Ключ не подходит"],
  wrongKeyTip: ["Check it and try again.", "Проверьте его и повторите."],
  keyLabel: ["API key, kept until this tab is closed", "Ключ API; хранится, пока открыта вкладка"],
  useKey: ["Use it", "Применить"],
  forgetKey: ["Forget the key", "Забыть ключ"],
  gone: ["It is not there any more", "Этого больше нет"],
  goneTip: ["Somebody has deleted it. Reload the page.", "Кто-то это удалил. Обновите страницу."],
  otherModel: ["This does not fit the collection", "Не подходит этой коллекции"],
  tooLarge: ["The photo is too large", "Фото слишком большое"],
  tooSmall: ["The face is too small", "Лицо слишком маленькое"],
  tooSmallTip: ["Come closer, or cut the photo so that the face fills more of it.", "Подойдите ближе или обрежьте фото вокруг лица."],
  noFace: ["No face found", "Лицо не найдено"],
  noFaceTip: ["Try a photo in which the face is larger, lit from the front, and looks towards the camera.", "Возьмите фото, где лицо крупнее, освещено спереди и смотрит в камеру."],
  unreadable: ["This is not a photo that can be read", "Это не читается как фото"],
  formats: ["JPEG, PNG, WebP, GIF, BMP and TIFF are understood.", "Понятны JPEG, PNG, WebP, GIF, BMP и TIFF."],
  heic: ["Save HEIC photos as JPEG first.", "Сначала сохраните HEIC как JPEG."],
  busy: ["The server is busy", "Сервер занят"],
  noModels: ["Face models are missing", "Нет моделей лиц"],
  readOnly: ["The server takes no changes after a disk error", "После ошибки диска изменения не принимаются"],
  failed: ["That did not work", "Не получилось"],
  again: ["Try again", "Повторить"],
  empty: ["There are no faces here yet", "Здесь пока нет лиц"],
  emptyTip: ["Fill a collection with a folder of photos, one folder per person:", "Наполните коллекцию папкой фото, по папке на человека:"],
  cancel: ["Cancel", "Отмена"],
  save: ["Save", "Сохранить"],
  undo: ["Undo", "Вернуть"],
  remove: ["Delete", "Удалить"],
  removed: ["{x}: deleted", "{x}: удалено"],
  kept: ["Nothing was deleted", "Ничего не удалено"],
  photos: [["{x} photo", "{x} photos"], ["{x} фото"]],
  facesIn: [["{x} face", "{x} faces"], ["{x} лицо", "{x} лица", "{x} лиц"]],
  newCollection: ["New collection", "Новая коллекция"],
  name: ["Name", "Имя"],
  create: ["Create", "Создать"],
  find: ["Search by name", "Поиск по имени"],
  page: ["Page {x} of {y}", "Страница {x} из {y}"],
  previous: ["Previous", "Назад"],
  next: ["Next", "Вперёд"],
  add: ["Add photos", "Добавить фото"],
  whose: ["Whose face is it? (may be empty)", "Чьё это лицо? (можно не указывать)"],
  added: ["Added", "Добавлено"],
  duplicate: ["Added; the same picture is there already", "Добавлено; такая картинка уже есть"],
  rename: ["Rename", "Переименовать"],
  removePerson: ["Delete this person", "Удалить человека"],
  payload: ["Data of this face (JSON)", "Данные лица (JSON)"],
  edit: ["Edit data", "Данные"],
  notJson: ["This is not a JSON object: {x}", "Это не объект JSON: {x}"],
  noMatch: ["Nobody by that name.", "Никого с таким именем."],
  moreFaces: ["Show more", "Показать ещё"],
  points: ["Points", "Точки"], memory: ["Memory", "Память"], state: ["State", "Состояние"], recall: ["Recall@10", "Recall@10"],
  measure: ["Measure", "Измерить"],
  purge: ["Purge deleted data", "Стереть удалённое"],
  purged: ["Purged: {x} files rewritten, {y} removed", "Стёрто: переписано файлов {x}, удалено {y}"],
  working: ["Working…", "Выполняется…"],
  backups: ["Backups", "Резервные копии"],
  makeBackup: ["Back up", "Создать копию"],
  restore: ["Restore", "Восстановить"],
  restoreSure: ["Replace collection {x} by this backup? Backups stay.", "Заменить коллекцию {x} этой копией? Копии останутся."],
  restored: ["Restored from {x}", "Восстановлено из {x}"],
  noBackups: ["No backups yet.", "Копий пока нет."],
  live: ["Live", "Сейчас"],
  requests: ["Requests a second", "Запросов в секунду"],
  latency: ["Mean latency, ms", "Средняя задержка, мс"],
  inserts: ["Writes a second", "Записей в секунду"],
  queue: ["Photos waiting", "Фото в очереди"],
  tryRest: ["Try a request", "Попробовать запрос"],
  request: ["Method and path", "Метод и путь"],
  body: ["JSON body", "Тело JSON"],
  sendIt: ["Send", "Отправить"],
  answer: ["Answer", "Ответ"],
  docs: ["All of the REST API", "Весь REST API"],
};

const wanted = localStorage.getItem(LANGUAGE) ?? navigator.language.slice(0, 2);
export const language = wanted === "ru" ? "ru" : "en";

export function switchLanguage() {
  localStorage.setItem(LANGUAGE, language === "ru" ? "en" : "ru");
  location.reload();
}

/// A number as it is written here.
export const number = (value, digits = 0) => value.toLocaleString(language, { maximumFractionDigits: digits });

const FORMS = { en: ["one", "other"], ru: ["one", "few", "many"] };

/// The text of a row; a plural goes by `x`.
export function t(row, x, y) {
  const text = TABLE[row][language === "ru" ? 1 : 0];
  const form = Array.isArray(text) ? plural(text, x) : text;
  return form.replace("{x}", typeof x === "number" ? number(x, 3) : String(x)).replace("{y}", String(y));
}

function plural(forms, x) {
  const at = FORMS[language].indexOf(new Intl.PluralRules(language).select(x));
  return forms[at] ?? forms.at(-1);
}
