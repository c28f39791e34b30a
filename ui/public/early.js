// Asks for what a page shows first while its program is still being read: `src/api/client.ts` takes
// the answers. Loaded before all else, so small.

(() => {
  const token = sessionStorage.getItem('immune-token');
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const [, page, id] = location.pathname.split('/');
  const own = {
    '': '/api/v1/topology',
    topology: '/api/v1/topology',
    traces: id && `/api/v1/traces/${id}`,
  };
  const paths = [
    own[page],
    ...['status', 'incidents', 'plans', 'drills'].map((of) => `/api/v1/${of}`),
  ];
  globalThis.early = Object.fromEntries(
    paths.filter(Boolean).map((path) => {
      const answer = fetch(path, { headers });
      // Who takes it hears of it; if nobody does, nobody needs to.
      answer.catch(() => {});
      return [path, answer];
    }),
  );
})();
