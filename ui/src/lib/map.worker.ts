// Lays a map out where it holds nothing up.

import { laidOut, type LayoutQuestion } from './map-layout';

self.onmessage = (event: MessageEvent<{ number: number; question: LayoutQuestion }>) => {
  const { number, question } = event.data;
  try {
    self.postMessage({ number, layout: laidOut(question) });
  } catch (error) {
    self.postMessage({ number, error: String(error) });
  }
};
