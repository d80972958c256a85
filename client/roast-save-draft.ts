/** What a roast is saved with; texts are what is in the fields. */
export interface SaveDraft {
  name: string;
  beans: string;
  notes: string;
  greenG: string;
  roastedG: string;
}

/** The body of `POST /api/profiles`. A weight that is none is left out. */
export function saveBody(machineId: string, { name, beans, notes, greenG, roastedG }: SaveDraft) {
  return {
    machine_id: machineId,
    name: name.trim(),
    notes: { ...(beans.trim() && { beans: beans.trim() }), ...(notes.trim() && { roasting: notes.trim() }) },
    weight: { green_g: grams(greenG), roasted_g: grams(roastedG) },
  };
}

/** @returns null where the field is empty or no weight */
function grams(text: string): number | null {
  const value = Number(text.trim().replace(',', '.'));
  return text.trim() !== '' && value > 0 ? value : null;
}
