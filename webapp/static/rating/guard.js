// Says so when the page's scripts do not come, or are too new for the browser: they cannot. Old
// browsers read this file, too.
(function guard() {
  var PATIENCE_MS = 15000;
  function tell() {
    var loading = document.getElementById('loading');
    if (loading.getAttribute('data-running') !== null) return;
    loading.hidden = true;
    document.getElementById('broken').hidden = false;
  }
  // An error of a script that is missing does not bubble.
  window.addEventListener('error', function onError(event) {
    if (event.target === window || event.target.tagName === 'SCRIPT') tell();
  }, true);
  if (!('noModule' in document.createElement('script'))) tell();
  setTimeout(tell, PATIENCE_MS);
  document.querySelector('#broken button').addEventListener('click', function again() {
    window.location.reload();
  });
}());
