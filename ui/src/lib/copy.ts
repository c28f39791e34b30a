// Copying text. Browsers allow it on loopback and over TLS only.

/** What happened, in a word for the button. */
export async function copy(text: string): Promise<'copied' | 'not allowed here'> {
  try {
    await navigator.clipboard.writeText(text);
    return 'copied';
  } catch {
    return 'not allowed here';
  }
}
