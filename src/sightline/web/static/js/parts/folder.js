/** Folders that were dropped or chosen: their files with the paths in them. */

/** What counts as a picture inside a folder; a file that was chosen on its own is always tried. */
const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|gif|bmp|dib|tiff?|avif)$/i;

/** As people count: photo 2 before photo 10. */
const ORDER = new Intl.Collator(undefined, { numeric: true });

export const isZip = (file) => /\.zip$/i.test(file.name) || file.type === "application/zip";

export const isVideo = (file) => file.type.startsWith("video/") || /\.(3gp|avi|flv|m2ts|m4v|mkv|mov|mp4|mpe?g|webm|wmv)$/i.test(file.name);

/** The files of a folder dialog, or of any list: pictures, and how many were left out. */
export function picturesOf(files) {
  const kept = files.filter((file) => PICTURE.test(file.name) && !file.name.startsWith("."));
  kept.sort((a, b) => ORDER.compare(pathOf(a), pathOf(b)));
  return { files: kept, leftOut: files.length - kept.length };
}

/** Entries of a drop, if a folder is among them; must be asked while the drop is being handled. */
export function foldersOf(transfer) {
  const entries = [...(transfer.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return entries.some((entry) => entry.isDirectory) ? entries : null;
}

/** All files below the entries; each gets its path as `path`. */
export async function readEntries(entries) {
  const found = [];
  const waiting = [...entries];
  while (waiting.length) {
    const entry = waiting.shift();
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
      if (file) found.push(Object.assign(file, { path: entry.fullPath.replace(/^\//, "") }));
    } else {
      waiting.push(...(await children(entry)));
    }
  }
  return found;
}

/** A reader gives its entries in portions until it gives none. */
async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (!some.length) return all;
    all.push(...some);
  }
}

/** What a picture is called in a job. */
export const pathOf = (file) => file.path || file.webkitRelativePath || file.name;
