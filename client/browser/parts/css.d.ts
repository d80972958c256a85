/** A stylesheet comes into the bundle as its text (bin/build.mjs). */
declare module '*.css' {
  const text: string;
  export default text;
}
