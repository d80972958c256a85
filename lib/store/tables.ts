// biome-ignore lint/complexity/noBannedTypes: filled with the migrations
export type Tables = {};
