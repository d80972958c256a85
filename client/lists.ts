import type { Api } from './api.js';

/** A list as the gateway answers it (contract, REST). */
export interface ListWire<Item> {
  items: Item[];
  next_cursor?: string | null;
}

/**
 * A list page by page, as its order has it.
 * @param path with its query, which names at least the limit
 * @param most pages to ask for
 */
export async function* listPages<Item>(api: Api, path: string, most: number): AsyncGenerator<Item[]> {
  let cursor: string | null | undefined;
  for (let page = 0; page < most; page++) {
    const asked = cursor ? `${path}&cursor=${encodeURIComponent(cursor)}` : path;
    const list = (await api.request(asked)) as ListWire<Item>;
    yield list.items;
    cursor = list.next_cursor;
    if (!cursor) return;
  }
}
