/** The uuids that somebody pasted, however they are separated. */
export function sensorsIn(text: string): string[] {
  return [...new Set(text.split(/[\s,;]+/).filter((word) => word !== ''))];
}
