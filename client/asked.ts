/** What became of a press that is seen by itself where it worked. */
export type Asked = { kind: 'pending' } | { kind: 'failed'; message: string };
