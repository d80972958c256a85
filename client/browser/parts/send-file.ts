import type { SendFile } from '../../api.js';

/** A file as the body of a POST: only this way a browser tells how much of it has gone. */
export const sendFile: SendFile = (url, headers, file, { onProgress, signal }) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', ({ loaded }) => onProgress(loaded));
    request.addEventListener('load', () => resolve({ status: request.status, text: request.responseText }));
    for (const failure of ['error', 'abort', 'timeout']) {
      request.addEventListener(failure, () => reject(new Error(failure)));
    }
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
